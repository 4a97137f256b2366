//! A real RTSP server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use gst::glib;
use gst::prelude::*;
use gst_rtsp_server::prelude::*;

/// Of `video` and of `audio`, seconds since a moment of chance; packets of one frame count once.
type Came = Arc<Mutex<BTreeMap<String, Vec<f64>>>>;

/// A server to which streams are sent by RTSP; it notes the time stamps of what comes.
pub struct RtspServer {
    pub url: String,
    came: Came,
    main: glib::MainLoop,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl RtspServer {
    pub fn start() -> Self {
        gst::init().unwrap();
        let context = glib::MainContext::new();
        let server = gst_rtsp_server::RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service("0");
        let factory = gst_rtsp_server::RTSPMediaFactory::new();
        factory.set_transport_mode(gst_rtsp_server::RTSPTransportMode::RECORD);
        // Which stream is announced first is a matter of chance.
        factory.set_launch(
            "( identity name=depay0 ! fakesink async=false identity name=depay1 ! fakesink async=false )",
        );
        let came = Came::default();
        let to = came.clone();
        factory.connect_media_configure(move |_, media| {
            for name in ["depay0", "depay1"] {
                let bin = media.element().downcast::<gst::Bin>().unwrap();
                let pad = bin.by_name(name).and_then(|e| e.static_pad("src"));
                note_packets(&pad.unwrap(), &to);
            }
        });
        server.mount_points().unwrap().add_factory("/face", factory);
        server.attach(Some(&context)).unwrap();
        let main = glib::MainLoop::new(Some(&context), false);
        let url = format!("rtsp://127.0.0.1:{}/face", server.bound_port());
        let thread = std::thread::spawn({
            let main = main.clone();
            move || {
                main.run();
                drop(server);
            }
        });
        Self {
            url,
            came,
            main,
            thread: Some(thread),
        }
    }

    pub fn times(&self, media: &str) -> Vec<f64> {
        self.came.lock().unwrap().remove(media).unwrap_or_default()
    }
}

fn note_packets(pad: &gst::Pad, to: &Came) {
    let to = to.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let caps = pad.current_caps().unwrap();
        let caps = caps.structure(0).unwrap();
        let media = caps.get::<String>("media").unwrap();
        let rate = caps.get::<i32>("clock-rate").unwrap();
        let packet = info.buffer().unwrap().map_readable().unwrap();
        let stamp = u32::from_be_bytes(packet[4..8].try_into().unwrap());
        let time = f64::from(stamp) / f64::from(rate);
        let mut came = to.lock().unwrap();
        let times = came.entry(media).or_default();
        if times.last() != Some(&time) {
            times.push(time);
        }
        gst::PadProbeReturn::Ok
    });
}

impl Drop for RtspServer {
    fn drop(&mut self) {
        self.main.quit();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
