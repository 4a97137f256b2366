//! The frames of one format: maps them, copies those that somebody else holds too, and cuts those
//! that `videocrop` left whole.

use gst::glib;
use gst::prelude::*;
use gst_video::prelude::*;
use gst_video::{VideoCropMeta, VideoFormatInfo, VideoFrameRef, VideoInfo, VideoMeta};

use super::category::CAT;
use crate::picture::frame::FrameMut;
use crate::video;

/// Frames with the same caps. Copies come from a pool of their own.
pub struct Frames {
    info: VideoInfo,
    /// Made when the first copy is.
    pool: Option<gst::BufferPool>,
    /// Frames that were copied, for tests and logs.
    copied: u64,
}

impl Frames {
    pub fn new(info: VideoInfo) -> Self {
        Self {
            info,
            pool: None,
            copied: 0,
        }
    }

    pub fn info(&self) -> &VideoInfo {
        &self.info
    }

    /// Gives `draw` the pixels of `buffer`. They are only copied if somebody else, such as a decoder
    /// that needs the picture as a reference, holds them too.
    pub fn draw(&mut self, buffer: &mut gst::Buffer, draw: impl FnOnce(&mut FrameMut)) {
        if !(buffer.is_writable() && buffer.is_all_memory_writable()) {
            match self.copy(buffer) {
                Ok(copy) => *buffer = copy,
                Err(error) => gst::debug!(CAT, "No frame from the pool: {error}"),
            }
        }
        let buffer = buffer.make_mut();
        match VideoFrameRef::from_buffer_ref_writable(buffer, &self.info) {
            Ok(mut mapped) => draw(&mut video::frame_mut(&mut mapped)),
            Err(error) => gst::warning!(CAT, "A frame can't be written to: {error}"),
        }
    }

    /// The same frame in memory of its own.
    pub fn copy(&mut self, buffer: &gst::BufferRef) -> Result<gst::Buffer, glib::BoolError> {
        let mut copy = self.acquire()?;
        {
            let target = copy.make_mut();
            let source = VideoFrameRef::from_buffer_ref_readable(buffer, &self.info)?;
            let mut mapped = VideoFrameRef::from_buffer_ref_writable(target, &self.info)?;
            source.copy(&mut mapped)?;
        }
        copy_metadata(buffer, copy.make_mut());
        self.copied += 1;
        gst::trace!(CAT, "{} frames were copied so far", self.copied);
        Ok(copy)
    }

    /// What is to be seen of a frame, where it is more than that: an element before left the cutting
    /// to this one. Tells too where the cut begins.
    pub fn cut(
        &mut self,
        buffer: &gst::BufferRef,
    ) -> Result<Option<(gst::Buffer, [u32; 2])>, glib::BoolError> {
        let Some((x, y, ..)) = buffer.meta::<VideoCropMeta>().map(|crop| crop.rect()) else {
            return Ok(None);
        };
        let mut cut = self.acquire()?;
        {
            let source = VideoFrameRef::from_buffer_ref_readable(buffer, &self.info)?;
            let mut mapped = VideoFrameRef::from_buffer_ref_writable(cut.make_mut(), &self.info)?;
            cut_planes(&source, &mut mapped, [x as usize, y as usize]);
        }
        copy_metadata(buffer, cut.make_mut());
        Ok(Some((cut, [x, y])))
    }

    fn acquire(&mut self) -> Result<gst::Buffer, glib::BoolError> {
        if self.pool.is_none() {
            self.pool = Some(pool(&self.info)?);
        }
        let pool = self.pool.as_ref();
        let pool = pool.ok_or_else(|| glib::bool_error!("no pool"))?;
        pool.acquire_buffer(None)
            .map_err(|error| glib::bool_error!("The pool gives no buffer: {error}"))
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            // Those that are out go when they are given back.
            let _ = pool.set_active(false);
        }
    }
}

fn pool(info: &VideoInfo) -> Result<gst::BufferPool, glib::BoolError> {
    let pool = gst_video::VideoBufferPool::new();
    let mut config = pool.config();
    let caps = info.to_caps()?;
    config.set_params(Some(&caps), info.size() as u32, 0, 0);
    config.add_option(gst_video::BUFFER_POOL_OPTION_VIDEO_META);
    pool.set_config(config)?;
    pool.set_active(true)?;
    Ok(pool.upcast())
}

/// Times, flags and the metas that don't describe the memory.
fn copy_metadata(from: &gst::BufferRef, to: &mut gst::BufferRef) {
    let flags = gst::BufferCopyFlags::FLAGS | gst::BufferCopyFlags::TIMESTAMPS;
    if let Err(error) = from.copy_into(to, flags, ..) {
        gst::debug!(CAT, "Times and flags stay behind: {error}");
    }
    from.foreach_meta(|meta| {
        let about_memory = meta.has_tag::<gst::meta::tags::Memory>()
            || meta.downcast_ref::<VideoMeta>().is_some()
            || meta.downcast_ref::<VideoCropMeta>().is_some();
        if !about_memory {
            let copy = gst::meta::MetaTransformCopy::new(..);
            if meta.transform(to, &copy).is_err() {
                gst::debug!(CAT, "A meta of type {} can't be copied", meta.api());
            }
        }
        std::ops::ControlFlow::Continue(())
    });
}

/// Copies what lies right of and below `[x, y]`, in pixels, into `target`.
fn cut_planes(
    source: &VideoFrameRef<&gst::BufferRef>,
    target: &mut VideoFrameRef<&mut gst::BufferRef>,
    [x, y]: [usize; 2],
) {
    let format: VideoFormatInfo = target.format_info();
    for plane in 0..target.n_planes() {
        let Some(component) = format.plane().iter().position(|p| *p == plane) else {
            continue;
        };
        let (sub_x, sub_y) = (format.w_sub()[component], format.h_sub()[component]);
        // Where components share a plane, as in YUY2, the cut begins with a whole group of them.
        let shared = (0..format.n_components() as usize).filter(|c| format.plane()[*c] == plane);
        let group = shared.map(|c| format.w_sub()[c]).max().unwrap_or(sub_x);
        let x = x >> group << group;
        let step = format.pixel_stride()[component] as usize;
        let rows = target.comp_height(component as u32) as usize;
        let bytes = target.comp_width(component as u32) as usize * step;
        let from_stride = source.plane_stride()[plane as usize].unsigned_abs() as usize;
        let to_stride = target.plane_stride()[plane as usize].unsigned_abs() as usize;
        let start = (y >> sub_y) * from_stride + (x >> sub_x) * step;
        let (Ok(from), Ok(to)) = (source.plane_data(plane), target.plane_data_mut(plane)) else {
            continue;
        };
        let from = from.get(start..).unwrap_or_default().chunks(from_stride);
        for (from, to) in from.zip(to.chunks_mut(to_stride)).take(rows) {
            let bytes = bytes.min(from.len()).min(to.len());
            to[..bytes].copy_from_slice(&from[..bytes]);
        }
    }
}
