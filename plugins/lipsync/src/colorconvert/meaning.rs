//! What caps say of a picture's numbers.

use gst_video::{
    VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoColorimetry,
    VideoContentLightLevel, VideoFormat, VideoMasteringDisplayInfo, VideoTransferFunction,
};

use crate::colour::{Coding, Light, Meaning, Primaries, Transfer};

/// A format that is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planar {
    /// The format.
    pub format: VideoFormat,
    /// Bits of a sample.
    pub bits: u32,
    /// The same of the other number of bits.
    pub twin: VideoFormat,
}

const fn planar(format: VideoFormat, bits: u32, twin: VideoFormat) -> Planar {
    Planar { format, bits, twin }
}

/// All formats that are converted.
pub const PLANAR: [Planar; 6] = [
    planar(VideoFormat::I420, 8, VideoFormat::I42010le),
    planar(VideoFormat::Y42b, 8, VideoFormat::I42210le),
    planar(VideoFormat::Y444, 8, VideoFormat::Y44410le),
    planar(VideoFormat::I42010le, 10, VideoFormat::I420),
    planar(VideoFormat::I42210le, 10, VideoFormat::Y42b),
    planar(VideoFormat::Y44410le, 10, VideoFormat::Y444),
];

impl Planar {
    /// The entry of `format`; `None` where it passes as it is.
    pub fn of(format: VideoFormat) -> Option<Self> {
        PLANAR.into_iter().find(|p| p.format == format)
    }
}

/// Of high dynamic range: HLG or PQ.
pub fn is_hdr(colorimetry: &VideoColorimetry) -> bool {
    transfer(colorimetry, 0.0).is_hdr()
}

/// Of pictures of high dynamic range that do not say how bright they are, in cd/m².
const USUAL_PEAK: f32 = 1000.0;

/// The brightest that a picture was made for, in cd/m², where its caps say so.
pub fn peak(caps: &gst::CapsRef) -> f32 {
    let light = VideoContentLightLevel::from_caps(caps).map(|l| l.max_content_light_level().into());
    // In units of 0.0001 cd/m².
    let display = VideoMasteringDisplayInfo::from_caps(caps)
        .map(|d| d.max_display_mastering_luminance() as f32 / 10_000.0);
    let told = light.ok().filter(|l| *l > 0.0).or(display.ok());
    told.filter(|peak| (100.0..=10_000.0).contains(peak))
        .unwrap_or(USUAL_PEAK)
}

/// Takes out what caps say of the brightness of high dynamic range.
pub fn without_brightness(structure: &mut gst::StructureRef) {
    structure.remove_fields(["mastering-display-info", "content-light-level"]);
}

/// What samples of `bits` bits mean; `peak` is the brightest that a PQ picture was made for, in cd/m².
pub fn meaning(colorimetry: &VideoColorimetry, bits: u32, peak: f32) -> Meaning {
    let (kr, kb) = luma(colorimetry.matrix());
    Meaning {
        coding: Coding {
            kr,
            kb,
            full_range: colorimetry.range() == VideoColorRange::Range0_255,
            bits,
        },
        light: Light {
            transfer: transfer(colorimetry, peak),
            primaries: primaries(colorimetry),
        },
    }
}

/// What red and blue add to Y'.
pub fn luma(matrix: VideoColorMatrix) -> (f32, f32) {
    match matrix {
        VideoColorMatrix::Bt709 => (0.2126, 0.0722),
        VideoColorMatrix::Bt2020 => (0.2627, 0.0593),
        VideoColorMatrix::Smpte240m => (0.212, 0.087),
        VideoColorMatrix::Fcc => (0.30, 0.11),
        _ => (0.299, 0.114),
    }
}

fn transfer(colorimetry: &VideoColorimetry, peak: f32) -> Transfer {
    match colorimetry.transfer() {
        VideoTransferFunction::AribStdB67 => Transfer::Hlg,
        VideoTransferFunction::Smpte2084 => Transfer::Pq { peak },
        _ => Transfer::Standard,
    }
}

/// Where nothing is said, those that go with the matrix.
fn primaries(colorimetry: &VideoColorimetry) -> Primaries {
    const D65: [f32; 2] = [0.3127, 0.329];
    const C: [f32; 2] = [0.31, 0.316];
    match colorimetry.primaries() {
        VideoColorPrimaries::Bt2020 => Primaries::BT2020,
        VideoColorPrimaries::Bt470m => Primaries([[0.67, 0.33], [0.21, 0.71], [0.14, 0.08], C]),
        VideoColorPrimaries::Bt470bg => Primaries([[0.64, 0.33], [0.29, 0.6], [0.15, 0.06], D65]),
        VideoColorPrimaries::Smpte170m | VideoColorPrimaries::Smpte240m => {
            Primaries([[0.63, 0.34], [0.31, 0.595], [0.155, 0.07], D65])
        }
        VideoColorPrimaries::Adobergb => Primaries([[0.64, 0.33], [0.21, 0.71], [0.15, 0.06], D65]),
        VideoColorPrimaries::Smpterp431 => {
            Primaries([[0.68, 0.32], [0.265, 0.69], [0.15, 0.06], [0.314, 0.351]])
        }
        VideoColorPrimaries::Smpteeg432 => {
            Primaries([[0.68, 0.32], [0.265, 0.69], [0.15, 0.06], D65])
        }
        VideoColorPrimaries::Unknown if colorimetry.matrix() == VideoColorMatrix::Bt2020 => {
            Primaries::BT2020
        }
        _ => Primaries::BT709,
    }
}

/// What is made of a picture of which downstream takes `allowed` (all, where there is none): as it is, if
/// that can be shown in so many bits, or else BT.709.
pub fn choose(
    input: &VideoColorimetry,
    bits: u32,
    allowed: Option<&[VideoColorimetry]>,
) -> Option<VideoColorimetry> {
    let takes = |c: &VideoColorimetry| allowed.is_none_or(|all| all.contains(c));
    let stays = bits > 8 || !is_hdr(input);
    if stays && takes(input) {
        return Some(*input);
    }
    let standard = "bt709".parse().ok().filter(takes);
    let any = || allowed?.iter().find(|c| !is_hdr(c)).copied();
    standard.or_else(any)
}

/// The same light with matrix and range of BT.601.
pub fn in_bt601(colorimetry: &VideoColorimetry) -> VideoColorimetry {
    VideoColorimetry::new(
        VideoColorRange::Range16_235,
        VideoColorMatrix::Bt601,
        colorimetry.transfer(),
        colorimetry.primaries(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> VideoColorimetry {
        name.parse().unwrap()
    }

    #[test]
    fn only_what_can_not_be_shown_is_changed() {
        gst::init().unwrap();
        let chosen = |input: &str, bits, allowed: Option<&[&str]>| {
            let allowed = allowed.map(|a| a.iter().map(|n| named(n)).collect::<Vec<_>>());
            choose(&named(input), bits, allowed.as_deref()).map(|c| c.to_string())
        };
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(chosen("1:3:5:1", 8, None), some("1:3:5:1"));
        assert_eq!(chosen("bt601", 8, None), some("bt601"));
        assert_eq!(chosen("bt2100-hlg", 8, None), some("bt709"));
        assert_eq!(chosen("bt2100-hlg", 10, None), some("bt2100-hlg"));
        assert_eq!(
            chosen("bt2100-pq", 10, Some(&["bt601", "bt709"])),
            some("bt709")
        );
        assert_eq!(chosen("1:3:5:1", 8, Some(&["bt601"])), some("bt601"));
        assert_eq!(chosen("bt709", 8, Some(&["bt2100-pq"])), None);
    }

    #[test]
    fn how_bright_a_picture_is_stands_in_its_caps() {
        gst::init().unwrap();
        let mut caps = gst::Caps::new_empty_simple("video/x-raw");
        assert_eq!(peak(&caps), 1000.0);
        VideoContentLightLevel::new(0, 0).add_to_caps(caps.make_mut());
        assert_eq!(peak(&caps), 1000.0);
        VideoContentLightLevel::new(4000, 400).add_to_caps(caps.make_mut());
        assert_eq!(peak(&caps), 4000.0);
    }
}
