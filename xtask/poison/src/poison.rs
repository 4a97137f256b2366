//! gst-launch-1.0 videotestsrc num-buffers=20 ! poison mode=abort after=10 ! fakesink

use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;

/// Bytes that each buffer costs with `mode=leak`.
const LEAK: usize = 20 << 20;

glib::wrapper! {
    pub struct Poison(ObjectSubclass<Imp>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "poison",
        gst::Rank::NONE,
        Poison::static_type(),
    )
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstPoisonMode")]
enum Mode {
    #[default]
    #[enum_value(name = "Passes everything on", nick = "none")]
    None,
    #[enum_value(name = "Aborts the process", nick = "abort")]
    Abort,
    #[enum_value(name = "Writes to address zero", nick = "segfault")]
    Segfault,
    #[enum_value(name = "Keeps a buffer forever", nick = "hang")]
    Hang,
    #[enum_value(name = "Forgets memory with every buffer", nick = "leak")]
    Leak,
    #[enum_value(name = "Fails like a decoder of a damaged file", nick = "error")]
    Error,
}

#[derive(Clone, Copy, Default)]
struct Settings {
    mode: Mode,
    after: u64,
}

#[derive(Default)]
pub struct Imp {
    settings: Mutex<Settings>,
    passed: AtomicU64,
}

#[glib::object_subclass]
impl ObjectSubclass for Imp {
    const NAME: &'static str = "GstPoison";
    type Type = Poison;
    type ParentType = gst_base::BaseTransform;
}

impl Imp {
    fn settings(&self) -> Settings {
        *self.settings.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl ObjectImpl for Imp {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecEnum::builder_with_default("mode", Mode::default())
                    .nick("Mode")
                    .blurb("What it does")
                    .build(),
                glib::ParamSpecUInt64::builder("after")
                    .nick("After")
                    .blurb("How many buffers pass before it does so")
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = self.settings.lock().unwrap_or_else(|e| e.into_inner());
        match pspec.name() {
            "mode" => settings.mode = value.get().unwrap_or_default(),
            _ => settings.after = value.get().unwrap_or_default(),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = self.settings();
        match pspec.name() {
            "mode" => settings.mode.to_value(),
            _ => settings.after.to_value(),
        }
    }
}

impl GstObjectImpl for Imp {}

impl ElementImpl for Imp {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Poison",
                "Filter/Debug",
                "Breaks on purpose",
                "lipflow",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let any = gst::Caps::new_any();
            [
                ("src", gst::PadDirection::Src),
                ("sink", gst::PadDirection::Sink),
            ]
            .into_iter()
            .filter_map(|(name, direction)| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &any).ok()
            })
            .collect()
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for Imp {
    const MODE: gst_base::subclass::BaseTransformMode =
        gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = true;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = true;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        self.passed.store(0, Ordering::Relaxed);
        Ok(())
    }

    fn transform_ip_passthrough(
        &self,
        _buffer: &gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let settings = self.settings();
        if self.passed.fetch_add(1, Ordering::Relaxed) < settings.after {
            return Ok(gst::FlowSuccess::Ok);
        }
        match settings.mode {
            Mode::None => {}
            Mode::Abort => std::process::abort(),
            Mode::Segfault => segfault(),
            // A flush or a change of state does not wake it, as with a driver that waits.
            Mode::Hang => loop {
                std::thread::sleep(Duration::from_secs(1));
            },
            // Touched, or the kernel would not give it.
            Mode::Leak => std::mem::forget(vec![1_u8; LEAK]),
            Mode::Error => {
                gst::element_imp_error!(
                    self,
                    gst::StreamError::Decode,
                    ["poison was asked to fail"]
                );
                return Err(gst::FlowError::Error);
            }
        }
        Ok(gst::FlowSuccess::Ok)
    }
}

/// The real thing: what is raised by hand can be told from it.
fn segfault() {
    // SAFETY: none, and that is the point. The page is mapped without any rights, so that the write
    // is a fault and not undefined in a way that the compiler may use.
    unsafe {
        let page = libc::mmap(
            std::ptr::null_mut(),
            1,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        page.cast::<u8>().write_volatile(1);
    }
}
