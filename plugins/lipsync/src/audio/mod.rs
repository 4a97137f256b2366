//! Speech features. No GStreamer types here.
