//! Transparent pictures laid over a plain colour: without that, what an editor hid would be shown.

use std::sync::Mutex;

use gst::prelude::*;
use gst_video::prelude::*;
use gst_video::{VideoFlags, VideoFormatInfo, VideoFrameRef, VideoInfo, VideoPackFlags};

use crate::colorconvert::meaning;
use crate::sync::lock;

/// Lays what comes to `pad` over a colour, R'G'B', and calls `told` when something was seen through for the
/// first time.
pub fn flatten(pad: &gst::Pad, background: [u8; 3], told: impl Fn() + Send + Sync + 'static) {
    let layer: Mutex<Option<Layer>> = Mutex::default();
    let is_told = Mutex::new(false);
    let kinds = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::BUFFER;
    pad.add_probe(kinds, move |_, info| {
        let mut layer = lock(&layer);
        match &mut info.data {
            Some(gst::PadProbeData::Event(event)) => {
                if let gst::EventView::Caps(caps) = event.view() {
                    *layer = Layer::new(caps.caps(), background);
                }
            }
            Some(gst::PadProbeData::Buffer(buffer)) => {
                if let Some(layer) = &mut *layer
                    && layer.flatten(buffer.make_mut())
                    && !std::mem::replace(&mut *lock(&is_told), true)
                {
                    told();
                }
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

/// A background for pictures of one format.
struct Layer {
    info: VideoInfo,
    /// As rows are unpacked: alpha first.
    wide: bool,
    colour: [f32; 3],
    is_premultiplied: bool,
    row: Vec<u8>,
}

impl Layer {
    /// `None` where nothing can be seen through.
    fn new(caps: &gst::CapsRef, background: [u8; 3]) -> Option<Self> {
        let info = VideoInfo::from_caps(caps).ok()?;
        let format = info.format_info();
        if !format.has_alpha() {
            return None;
        }
        let unpacked = VideoFormatInfo::from_format(format.unpack_format());
        let wide = unpacked.depth()[0] > 8;
        let rgb = background.map(|v| f32::from(v) / 255.0);
        let numbers = if info.is_rgb() {
            rgb.map(|v| v * 255.0)
        } else {
            meaning::meaning(&info.colorimetry(), 8, 0.0)
                .coding
                .encode(rgb)
        };
        Some(Self {
            wide,
            colour: numbers.map(|v| if wide { v * 257.0 } else { v }),
            is_premultiplied: info.flags().contains(VideoFlags::PREMULTIPLIED_ALPHA),
            row: vec![0; unpacked.pixel_stride()[0] as usize * info.width() as usize],
            info,
        })
    }

    /// Whether anything was seen through.
    fn flatten(&mut self, buffer: &mut gst::BufferRef) -> bool {
        let Ok(mut frame) = VideoFrameRef::from_buffer_ref_writable(buffer, &self.info) else {
            return false;
        };
        let format = self.info.format_info();
        let planes = format.n_planes() as usize;
        let strides: Vec<i32> = frame.plane_stride()[..planes].to_vec();
        if strides.iter().any(|stride| *stride <= 0) {
            return false;
        }
        let (width, height) = (self.info.width() as i32, self.info.height() as i32);
        let mut is_seen_through = false;
        for y in 0..height {
            {
                let all = frame.planes_data();
                let flags = VideoPackFlags::empty();
                format.unpack(flags, &mut self.row, &all[..planes], &strides, 0, y, width);
            }
            if !self.blend() {
                continue;
            }
            is_seen_through = true;
            let mut all = frame.planes_data_mut();
            let site = self.info.chroma_site();
            format.pack(
                VideoPackFlags::empty(),
                &self.row,
                self.row.len() as i32,
                &mut all[..planes],
                &strides,
                site,
                y,
                width,
            );
        }
        is_seen_through
    }

    /// Lays the row over the colour; whether that changed it.
    fn blend(&mut self) -> bool {
        let mut is_changed = false;
        let mut row = std::mem::take(&mut self.row);
        if self.wide {
            for pixel in row.chunks_exact_mut(8) {
                let number = |i: usize| u16::from_ne_bytes([pixel[2 * i], pixel[2 * i + 1]]);
                if number(0) == u16::MAX {
                    continue;
                }
                is_changed = true;
                let alpha = f32::from(number(0)) / 65_535.0;
                let over = self.over([1, 2, 3].map(|i| f32::from(number(i))), alpha);
                let all = [u16::MAX, over[0] as u16, over[1] as u16, over[2] as u16];
                for (to, value) in pixel.chunks_exact_mut(2).zip(all) {
                    to.copy_from_slice(&value.to_ne_bytes());
                }
            }
        } else {
            for pixel in row.chunks_exact_mut(4) {
                if pixel[0] == u8::MAX {
                    continue;
                }
                is_changed = true;
                let alpha = f32::from(pixel[0]) / 255.0;
                let over = self.over([1, 2, 3].map(|i| f32::from(pixel[i])), alpha);
                pixel.copy_from_slice(&[u8::MAX, over[0] as u8, over[1] as u8, over[2] as u8]);
            }
        }
        self.row = row;
        is_changed
    }

    /// Rounded by what is added.
    fn over(&self, own: [f32; 3], alpha: f32) -> [f32; 3] {
        let share = if self.is_premultiplied { 1.0 } else { alpha };
        std::array::from_fn(|i| own[i] * share + self.colour[i] * (1.0 - alpha) + 0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(format: &str, pixels: &[u8], background: [u8; 3]) -> (Vec<u8>, bool) {
        gst::init().unwrap();
        let caps = gst::Caps::builder("video/x-raw")
            .field("format", format)
            .field("width", 2)
            .field("height", 1)
            .build();
        let mut layer = Layer::new(&caps, background).unwrap();
        let mut buffer = gst::Buffer::from_mut_slice(pixels.to_vec());
        let seen = layer.flatten(buffer.make_mut());
        (buffer.map_readable().unwrap().to_vec(), seen)
    }

    #[test]
    fn what_is_hidden_is_not_shown() {
        let (rgba, seen) = laid("RGBA", &[200, 60, 40, 0, 10, 20, 30, 255], [255, 0, 128]);
        assert_eq!(rgba, [255, 0, 128, 255, 10, 20, 30, 255]);
        assert!(seen);
        let (bgra, _) = laid("BGRA", &[200, 60, 40, 51, 1, 2, 3, 255], [0, 0, 0]);
        assert_eq!(bgra, [40, 12, 8, 255, 1, 2, 3, 255]);
        let opaque = [9, 8, 7, 255, 6, 5, 4, 255];
        assert_eq!(laid("RGBA", &opaque, [0, 0, 0]), (opaque.to_vec(), false));
        // Black in limited range.
        let (ayuv, _) = laid("AYUV", &[0, 200, 99, 99, 255, 77, 66, 55], [0, 0, 0]);
        assert_eq!(ayuv, [255, 16, 128, 128, 255, 77, 66, 55]);
        let caps: gst::Caps = "video/x-raw,format=RGB,width=2,height=1".parse().unwrap();
        assert!(Layer::new(&caps, [0; 3]).is_none());
    }

    #[test]
    fn sixteen_bits_are_laid_too() {
        let pixels: Vec<u8> = [0x8000u16, 1000, 2000, 3000, 0xffff, 5, 6, 7]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let (laid, _) = laid("ARGB64_LE", &pixels, [0, 0, 0]);
        let numbers: Vec<u16> = laid
            .chunks_exact(2)
            .map(|v| u16::from_le_bytes([v[0], v[1]]))
            .collect();
        assert_eq!(numbers, [0xffff, 500, 1000, 1500, 0xffff, 5, 6, 7]);
    }
}
