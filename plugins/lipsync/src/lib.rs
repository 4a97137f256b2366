//! GStreamer elements that make the mouth in a video follow a speech track.
//!
//! `facetrack` finds faces and attaches them to buffers, `lipsync` draws the mouth that the speech
//! asks for, `facesource` gives a picture or a video as an endless face, `facelearn` learns a face
//! from its video, `speechsource` gives the sound of a file, `soundfit` makes the sound exactly as long as
//! the picture, `colorconvert` brings pictures to the range and colours that downstream takes,
//! `labeloverlay` writes onto them that they are synthetic, and `heifdec` decodes HEIC and AVIF pictures.

pub mod audio;
pub mod bank;
pub mod colorconvert;
pub(crate) mod colour;
pub mod decode;
pub mod face;
mod facelearn;
mod facesource;
mod facetrack;
mod fault;
pub mod heifdec;
pub mod isobmff;
pub mod label;
mod labeloverlay;
mod lipsync;
mod loading;
pub mod model;
mod pads;
pub mod picture;
mod property;
pub mod render;
pub mod repeat;
pub mod roi;
pub mod runtime;
mod soundfit;
pub(crate) mod source_time;
mod speechsource;
pub(crate) mod sync;
pub mod video;

fn plugin_init(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    runtime::forbid_telemetry();
    facetrack::register(plugin)?;
    lipsync::register(plugin)?;
    facesource::register(plugin)?;
    facelearn::register(plugin)?;
    colorconvert::register(plugin)?;
    soundfit::register(plugin)?;
    speechsource::register(plugin)?;
    heifdec::register(plugin)?;
    labeloverlay::register(plugin)?;
    Ok(())
}

/// What GStreamer, and who links the plugin, finds it by. The macro writes no documentation.
#[allow(missing_docs)]
mod entry {
    use super::plugin_init;

    gst::plugin_define!(
        lipsync,
        env!("CARGO_PKG_DESCRIPTION"),
        plugin_init,
        concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
        "MIT/X11",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        "lipflow",
        env!("BUILD_REL_DATE")
    );
}

pub use entry::plugin_register_static;
