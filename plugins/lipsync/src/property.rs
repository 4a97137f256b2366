//! What the elements' properties have in common.

use std::path::{Path, PathBuf};

use gst::glib;
use gst::prelude::*;

type Mismatch = glib::value::ValueTypeMismatchError;

/// A text that a property was set to, if it was set to any.
pub(crate) fn text(value: &glib::Value) -> Result<Option<String>, Mismatch> {
    let text = value.get::<Option<String>>()?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// A path that a property was set to, if it was set to any.
pub(crate) fn path(value: &glib::Value) -> Result<Option<PathBuf>, Mismatch> {
    Ok(text(value)?.map(PathBuf::from))
}

/// What a property says that is a path.
pub(crate) fn path_value(path: Option<&Path>) -> glib::Value {
    path.map(|path| path.to_string_lossy().into_owned())
        .to_value()
}

/// Nanoseconds that a property was set to; the largest number is no time, and its range ends before.
pub(crate) fn time(value: &glib::Value) -> Result<gst::ClockTime, Mismatch> {
    let nanoseconds = value.get::<u64>()?.min(gst::ClockTime::MAX.nseconds());
    Ok(gst::ClockTime::from_nseconds(nanoseconds))
}

/// Of an element that runs networks.
pub(crate) fn threads(default: u32, blurb: &str) -> glib::ParamSpec {
    glib::ParamSpecUInt::builder("threads")
        .nick("Threads")
        .blurb(blurb)
        .maximum(256)
        .default_value(default)
        .mutable_ready()
        .build()
}

/// Of an element that runs networks.
pub(crate) fn device(default: u32) -> glib::ParamSpec {
    glib::ParamSpecUInt::builder("device")
        .nick("Device")
        .blurb("Index of the accelerator")
        .maximum(i32::MAX as u32)
        .default_value(default)
        .mutable_ready()
        .build()
}
