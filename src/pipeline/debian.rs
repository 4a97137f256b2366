//! Which Debian package has an element.

const PLUGINS: &str = include_str!("debian.txt");

/// Elements that a plugin makes from what it finds on the machine, by the beginning of their names.
const PREFIXES: [(&str, &str, &str); 12] = [
    ("av", "gstreamer1.0-libav", "libav"),
    ("vaapi", "gstreamer1.0-vaapi", "vaapi"),
    ("omx", "gstreamer1.0-omx-generic", "omx"),
    ("va", "gstreamer1.0-plugins-bad", "va"),
    ("nv", "gstreamer1.0-plugins-bad", "nvcodec"),
    ("cuda", "gstreamer1.0-plugins-bad", "nvcodec"),
    ("qsv", "gstreamer1.0-plugins-bad", "qsv"),
    ("msdk", "gstreamer1.0-plugins-bad", "msdk"),
    ("v4l2sl", "gstreamer1.0-plugins-bad", "v4l2codecs"),
    ("v4l2", "gstreamer1.0-plugins-good", "video4linux2"),
    ("ladspa-", "gstreamer1.0-plugins-bad", "ladspa"),
    ("frei0r-", "gstreamer1.0-plugins-bad", "frei0r"),
];

/// What to do about a refused plugin.
pub const REFUSED_REMEDY: &str =
    "Remove GStreamer's list of plugins (rm ~/.cache/gstreamer-1.0/registry.*.bin) and try again";

/// The package with the element of that name, as far as is known.
pub fn package(element: &str) -> Option<&'static str> {
    find(element).map(|(package, _)| package)
}

/// The file of the element's plugin, where GStreamer has put it on its list of plugins that crashed
/// or hung while it looked at them. It keeps to that list until the file or the list changes.
pub fn refused_plugin(element: &str) -> Option<std::path::PathBuf> {
    let (_, plugin) = find(element)?;
    let file = format!("libgst{plugin}.so");
    refused_plugins()
        .into_iter()
        .find(|path| path.file_name().is_some_and(|name| *name == *file))
}

/// All such files.
pub fn refused_plugins() -> Vec<std::path::PathBuf> {
    use gst::prelude::*;
    gst::Registry::get()
        .plugins()
        .into_iter()
        .filter(|plugin| {
            plugin
                .plugin_flags()
                .contains(gst::PluginFlags::BLACKLISTED)
        })
        .filter_map(|plugin| plugin.filename())
        .collect()
}

fn find(element: &str) -> Option<(&'static str, &'static str)> {
    let listed = PLUGINS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut words = line.split(' ');
            let found = (words.next()?, words.next()?);
            words.any(|word| word == element).then_some(found)
        });
    listed.or_else(|| {
        PREFIXES
            .iter()
            .find(|(prefix, ..)| element.starts_with(prefix))
            .map(|(_, package, plugin)| (*package, *plugin))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gst::prelude::*;

    #[test]
    fn packages() {
        for (element, expected) in [
            ("queue", Some("libgstreamer1.0-0")),
            ("x264enc", Some("gstreamer1.0-plugins-ugly")),
            ("mp4mux", Some("gstreamer1.0-plugins-good")),
            ("h264parse", Some("gstreamer1.0-plugins-bad")),
            ("compositor", Some("gstreamer1.0-plugins-base")),
            ("avenc_aac", Some("gstreamer1.0-libav")),
            ("avwait", Some("gstreamer1.0-plugins-bad")),
            ("glimagesink", Some("gstreamer1.0-gl")),
            ("vah264enc", Some("gstreamer1.0-plugins-bad")),
            ("vaapih264enc", Some("gstreamer1.0-vaapi")),
            ("alsasink", Some("gstreamer1.0-alsa")),
            ("nosuch", None),
        ] {
            assert_eq!(package(element), expected, "{element}");
        }
    }

    /// Against the machine's own knowledge: each element that is installed is in the plugin that
    /// the table says.
    #[test]
    fn the_table_agrees_with_the_registry() {
        gst::init().unwrap();
        let mut seen = 0;
        for line in PLUGINS.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            assert!(words.len() > 2, "{line}");
            for element in &words[2..] {
                if let Some(factory) = gst::ElementFactory::find(element) {
                    assert_eq!(
                        factory.plugin_name().as_deref(),
                        Some(words[1]),
                        "{element}"
                    );
                    seen += 1;
                }
            }
        }
        assert!(seen > 20, "{seen}");
    }
}
