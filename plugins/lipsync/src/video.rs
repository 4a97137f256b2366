//! From GStreamer's video frames to the renderer's [`Frame`] and [`FrameMut`].

use gst_video::{VideoColorRange, VideoFormat, VideoFrameRef, VideoInfo, VideoMeta, prelude::*};

use crate::colorconvert::meaning::luma;
use crate::picture::frame::{Channel, Colour, Frame, FrameMut, Layout};
use crate::picture::sample::Depth;

/// The formats that `facetrack` and `lipsync` work on without conversion.
pub const FORMATS: [VideoFormat; 22] = [
    VideoFormat::I420,
    VideoFormat::Nv12,
    VideoFormat::Yv12,
    VideoFormat::Nv21,
    VideoFormat::Y42b,
    VideoFormat::Y444,
    VideoFormat::Rgb,
    VideoFormat::Bgr,
    VideoFormat::Rgbx,
    VideoFormat::Bgrx,
    VideoFormat::Xrgb,
    VideoFormat::Xbgr,
    VideoFormat::Rgba,
    VideoFormat::Bgra,
    VideoFormat::Argb,
    VideoFormat::Abgr,
    VideoFormat::Yuy2,
    VideoFormat::Uyvy,
    VideoFormat::I42010le,
    VideoFormat::P01010le,
    VideoFormat::I42210le,
    VideoFormat::Y44410le,
];

/// Whether faces can be followed in such pictures and drawn on; the error says what to do.
pub fn check(info: &VideoInfo) -> Result<(), &'static str> {
    if info.is_interlaced() {
        return Err(
            "The picture is interlaced: two moments are in each frame. Put `deinterlace fields=top` \
             before facetrack",
        );
    }
    Ok(())
}

/// Whether the rows of a picture lie in memory from the top down; the error says what to do. To be asked
/// before a frame is mapped.
pub fn check_rows(buffer: &gst::BufferRef) -> Result<(), &'static str> {
    let meta = buffer.meta::<VideoMeta>();
    if meta.is_some_and(|meta| meta.stride().iter().any(|stride| *stride < 0)) {
        return Err(
            "The rows of the picture lie in memory from the bottom up. Have it written anew, as \
             `videoconvert` does where it changes the format",
        );
    }
    Ok(())
}

/// Describes a mapped frame. Strides come from the frame, not from the caps: a decoder may pad its
/// rows.
fn layout(info: &VideoInfo, strides: &[i32]) -> Layout {
    let format = info.format_info();
    let channels = std::array::from_fn(|c| {
        let plane = format.plane()[c] as usize;
        let depth = match (format.depth()[c], format.shift()[c]) {
            (10, 0) => Depth::Ten,
            (10, _) => Depth::TenAbove,
            _ => Depth::Eight,
        };
        Channel {
            plane,
            // GStreamer 1.22 counts that of P010's last channel in samples.
            offset: (format.poffset()[c] as usize).next_multiple_of(depth.bytes()),
            step: format.pixel_stride()[c] as usize,
            stride: strides[plane] as usize,
            sub_x: format.w_sub()[c] as u8,
            sub_y: format.h_sub()[c] as u8,
            depth,
        }
    });
    Layout {
        width: info.width() as usize,
        height: info.height() as usize,
        channels,
        colour: colour(info),
    }
}

fn colour(info: &VideoInfo) -> Colour {
    if info.is_rgb() {
        return Colour::Rgb;
    }
    let colorimetry = info.colorimetry();
    let (kr, kb) = luma(colorimetry.matrix());
    Colour::Yuv {
        kr,
        kb,
        full_range: colorimetry.range() == VideoColorRange::Range0_255,
    }
}

/// The mapped frame as a picture to read.
pub fn frame<'a>(mapped: &'a VideoFrameRef<&gst::BufferRef>) -> Frame<'a> {
    let [a, b, c, _] = mapped.planes_data();
    Frame {
        layout: layout(mapped.info(), mapped.plane_stride()),
        planes: [a, b, c],
    }
}

/// The mapped frame as a picture to draw into.
pub fn frame_mut<'a>(mapped: &'a mut VideoFrameRef<&mut gst::BufferRef>) -> FrameMut<'a> {
    let layout = layout(mapped.info(), mapped.plane_stride());
    let [a, b, c, _] = mapped.planes_data_mut();
    FrameMut {
        layout,
        planes: [a, b, c],
    }
}
