//! What a decoded picture's numbers mean, and what becomes of them, in words.

use gst_video::{VideoColorMatrix, VideoColorRange, VideoColorimetry, VideoInfo};
use gstlipsync::colorconvert::meaning;
use gstlipsync::decode::range;
use serde::{Deserialize, Serialize};

/// What a decoder says of its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Colour {
    #[serde(with = "as_text")]
    colorimetry: VideoColorimetry,
    /// Of a channel.
    pub bits: u32,
    pub has_alpha: bool,
}

/// As caps have it.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::VideoColorimetry;

    pub fn serialize<S: Serializer>(
        colorimetry: &VideoColorimetry,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(colorimetry)
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<VideoColorimetry, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl Colour {
    /// Of caps of raw pictures.
    pub fn of(caps: &gst::CapsRef) -> Option<Self> {
        caps.structure(0)?.has_name("video/x-raw").then_some(())?;
        let whole = range::completed(caps);
        let info = VideoInfo::from_caps(whole.as_deref().unwrap_or(caps)).ok()?;
        Some(Self {
            colorimetry: info.colorimetry(),
            bits: info.comp_depth(0),
            has_alpha: info.format_info().has_alpha(),
        })
    }

    fn is_hdr(&self) -> bool {
        meaning::is_hdr(&self.colorimetry)
    }

    /// Whether they have the colours of that name already.
    pub fn is(&self, colorimetry: &str) -> bool {
        colorimetry
            .parse()
            .is_ok_and(|named: VideoColorimetry| named == self.colorimetry)
    }

    /// As `BT.709, full range`, or `HLG, 10 bits`.
    pub fn words(&self) -> String {
        let matrix = match self.colorimetry.matrix() {
            VideoColorMatrix::Rgb => "RGB",
            VideoColorMatrix::Bt709 => "BT.709",
            VideoColorMatrix::Bt2020 => "BT.2020",
            VideoColorMatrix::Bt601 => "BT.601",
            VideoColorMatrix::Smpte240m => "SMPTE 240M",
            VideoColorMatrix::Fcc => "FCC",
            _ => "of unknown colours",
        };
        let transfer = match self.colorimetry.transfer() {
            gst_video::VideoTransferFunction::AribStdB67 => Some("HLG"),
            gst_video::VideoTransferFunction::Smpte2084 => Some("PQ"),
            _ => None,
        };
        let mut words = transfer.unwrap_or(matrix).to_owned();
        let is_full = self.colorimetry.range() == VideoColorRange::Range0_255;
        if is_full && self.colorimetry.matrix() != VideoColorMatrix::Rgb {
            words += ", full range";
        }
        if self.bits > 8 {
            words += &format!(", {} bits", self.bits);
        }
        words
    }

    /// What is changed where an output has so many bits, if anything is.
    pub fn becomes(&self, bits: u32) -> Option<String> {
        let mut changes = Vec::new();
        if self.is_hdr() && bits <= 8 {
            changes.push("mapped to BT.709".to_owned());
        }
        if self.bits > bits {
            changes.push(format!("dithered to {bits} bits"));
        }
        if self.has_alpha {
            changes.push("what can be seen through laid over a plain colour".to_owned());
        }
        (!changes.is_empty()).then(|| changes.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_s_colours_have_words() {
        gst::init().unwrap();
        let colour = |format: &str, colorimetry: &str| {
            let caps = gst::Caps::builder("video/x-raw")
                .field("format", format)
                .field("width", 64)
                .field("height", 64)
                .field("colorimetry", colorimetry)
                .build();
            Colour::of(&caps).unwrap()
        };
        let full = colour("I420", "1:3:5:1");
        assert_eq!(full.words(), "BT.709, full range");
        assert_eq!(full.becomes(8), None);
        let hlg = colour("I420_10LE", "bt2100-hlg");
        assert_eq!(hlg.words(), "HLG, 10 bits");
        assert_eq!(
            hlg.becomes(8).unwrap(),
            "mapped to BT.709, dithered to 8 bits"
        );
        assert_eq!(hlg.becomes(10), None);
        assert!(colour("I420", "bt709").is("bt709"));
        let see_through = colour("RGBA", "sRGB");
        assert_eq!(see_through.words(), "RGB");
        assert!(see_through.becomes(8).unwrap().contains("seen through"));
    }
}
