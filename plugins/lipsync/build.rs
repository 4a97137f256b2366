//! Puts version, commit and date where the plugin says them.

fn main() {
    gst_plugin_version_helper::info();
}
