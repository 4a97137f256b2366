//! The element `poison`: passes buffers on until it does what its `mode` says. It stands for all that
//! codecs and drivers do to a process. Tests find it through `GST_PLUGIN_PATH`.

mod poison;

fn plugin_init(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    poison::register(plugin)
}

/// What GStreamer finds the plugin by. The macro writes no documentation.
#[allow(missing_docs)]
mod entry {
    use super::plugin_init;

    gst::plugin_define!(
        poison,
        env!("CARGO_PKG_DESCRIPTION"),
        plugin_init,
        env!("CARGO_PKG_VERSION"),
        "MIT/X11",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        "lipflow"
    );
}
