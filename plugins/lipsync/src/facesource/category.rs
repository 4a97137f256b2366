//! Where the element's debug log goes.

use std::sync::LazyLock;

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "facesource",
        gst::DebugColorFlags::empty(),
        Some("A picture or a video as an endless face"),
    )
});
