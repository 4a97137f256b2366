use std::sync::LazyLock;

use gst::glib;
use gst::subclass::prelude::*;
use gst_video::prelude::*;
use gst_video::subclass::prelude::*;
use gst_video::{
    VideoCodecFrame, VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoColorimetry,
    VideoFormat, VideoFrameRef, VideoInfo, VideoTransferFunction,
};

use super::library::{self, Error, Picture};
use super::media_type;
use crate::decode::heif::Coding;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "heifdec",
        gst::DebugColorFlags::empty(),
        Some("HEIC and AVIF pictures"),
    )
});

#[derive(Default)]
pub struct HeifDec;

#[glib::object_subclass]
impl ObjectSubclass for HeifDec {
    const NAME: &'static str = "GstLipflowHeifDec";
    type Type = super::HeifDec;
    type ParentType = gst_video::VideoDecoder;
}

impl ObjectImpl for HeifDec {
    fn constructed(&self) {
        self.parent_constructed();
        // What comes is a file in pieces.
        self.obj().set_packetized(false);
    }
}

impl GstObjectImpl for HeifDec {}

impl ElementImpl for HeifDec {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "HEIF decoder",
                "Codec/Decoder/Image",
                "Decodes HEIC and AVIF pictures with libheif",
                "The lipflow authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let files =
                [Coding::Hevc, Coding::Av1].map(|c| gst::Structure::new_empty(media_type(c)));
            let pictures = gst_video::VideoCapsBuilder::new()
                .format_list([VideoFormat::Rgb, VideoFormat::Rgba])
                .build();
            let template = |name, direction, caps: &gst::Caps| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, caps)
            };
            [
                template(
                    "sink",
                    gst::PadDirection::Sink,
                    &files.into_iter().collect(),
                ),
                template("src", gst::PadDirection::Src, &pictures),
            ]
            .into_iter()
            .flatten()
            .collect()
        });
        &TEMPLATES
    }
}

impl VideoDecoderImpl for HeifDec {
    fn parse(
        &self,
        _frame: &VideoCodecFrame,
        adapter: &gst_base::Adapter,
        at_eos: bool,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if !at_eos {
            // Where the picture's parts are is told from the beginning of the file.
            return Ok(gst_video::VIDEO_DECODER_FLOW_NEED_DATA);
        }
        self.obj().add_to_frame(adapter.available() as i32);
        self.obj().have_frame()
    }

    fn handle_frame(&self, mut frame: VideoCodecFrame) -> Result<gst::FlowSuccess, gst::FlowError> {
        let data = frame.input_buffer_owned().ok_or(gst::FlowError::Error)?;
        let data = data.map_readable().map_err(|_| gst::FlowError::Error)?;
        let picture = library::library()
            .and_then(|library| library.decode(&data))
            .map_err(|error| self.fail(&error))?;
        drop(data);
        let info = info(&picture).map_err(|error| {
            gst::error!(CAT, imp = self, "{error}");
            gst::FlowError::NotNegotiated
        })?;
        let obj = self.obj();
        let mut state = obj.set_output_state(info.format(), info.width(), info.height(), None)?;
        state.set_info(info.clone());
        obj.negotiate(state)?;
        obj.allocate_output_frame(&mut frame, None)?;
        let buffer = frame.output_buffer_mut().ok_or(gst::FlowError::Error)?;
        copy(&picture, &info, buffer).map_err(|error| {
            gst::error!(CAT, imp = self, "{error}");
            gst::FlowError::Error
        })?;
        obj.finish_frame(frame)
    }
}

impl HeifDec {
    fn fail(&self, error: &Error) -> gst::FlowError {
        match error {
            Error::Missing(_) | Error::Unsupported(_) => {
                gst::element_imp_error!(self, gst::StreamError::CodecNotFound, ("{error}"));
            }
            Error::Damaged(_) => {
                gst::element_imp_error!(self, gst::StreamError::Decode, ("{error}"));
            }
        }
        gst::FlowError::Error
    }
}

fn info(picture: &Picture) -> Result<VideoInfo, glib::BoolError> {
    let format = match picture.has_alpha {
        true => VideoFormat::Rgba,
        false => VideoFormat::Rgb,
    };
    // A photograph of which nothing is said is in sRGB.
    let (primaries, transfer) = match picture.colours {
        Some((primaries, transfer)) => (
            VideoColorPrimaries::from_iso(primaries),
            VideoTransferFunction::from_iso(transfer),
        ),
        None => (VideoColorPrimaries::Bt709, VideoTransferFunction::Srgb),
    };
    let colorimetry = VideoColorimetry::new(
        VideoColorRange::Range0_255,
        VideoColorMatrix::Rgb,
        transfer,
        primaries,
    );
    let mut flags = gst_video::VideoFlags::empty();
    flags.set(
        gst_video::VideoFlags::PREMULTIPLIED_ALPHA,
        picture.is_premultiplied,
    );
    VideoInfo::builder(format, picture.width, picture.height)
        .colorimetry(&colorimetry)
        .flags(flags)
        .build()
}

fn copy(
    picture: &Picture,
    info: &VideoInfo,
    buffer: &mut gst::BufferRef,
) -> Result<(), glib::BoolError> {
    let mut frame = VideoFrameRef::from_buffer_ref_writable(buffer, info)
        .map_err(|_| glib::bool_error!("the picture's memory can't be written"))?;
    let stride = frame.plane_stride()[0].unsigned_abs() as usize;
    let plane = frame.plane_data_mut(0)?;
    for (to, from) in plane.chunks_mut(stride.max(1)).zip(picture.rows()) {
        if let Some(to) = to.get_mut(..from.len()) {
            to.copy_from_slice(from);
        }
    }
    Ok(())
}
