//! Models: manifests and one file per model kind. No GStreamer types here.
