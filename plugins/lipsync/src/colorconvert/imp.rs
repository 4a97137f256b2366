use std::sync::{Arc, LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::BaseTransformMode;
use gst_base::subclass::prelude::*;
use gst_video::prelude::*;
use gst_video::subclass::prelude::*;
use gst_video::{VideoColorimetry, VideoFormat, VideoFrameRef, VideoInfo};

use super::Codec;
use super::meaning::{self, PLANAR, Planar};
use crate::colour::convert::{Converter, Size, Source, Target};
use crate::pads;
use crate::sync::lock;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "colorconvert",
        gst::DebugColorFlags::empty(),
        Some("Range, matrix and dynamic range of pictures"),
    )
});

#[derive(Debug, Clone)]
struct Settings {
    depth: u32,
    codec: Codec,
}

impl Settings {
    fn most_bits(&self) -> u32 {
        match self.codec {
            Codec::Vp8 => 8,
            Codec::Any | Codec::Vp9 => self.depth,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            depth: 8,
            codec: Codec::default(),
        }
    }
}

#[derive(Default)]
pub struct ColorConvert {
    settings: Mutex<Settings>,
    converter: Mutex<Option<Arc<Converter>>>,
}

#[glib::object_subclass]
impl ObjectSubclass for ColorConvert {
    const NAME: &'static str = "GstLipflowColorConvert";
    type Type = super::ColorConvert;
    type ParentType = gst_video::VideoFilter;
}

impl ObjectImpl for ColorConvert {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let defaults = Settings::default();
            vec![
                glib::ParamSpecUInt::builder("depth")
                    .nick("Depth")
                    .blurb("The most bits a channel that leave; with 8, HLG and PQ become BT.709")
                    .minimum(8)
                    .maximum(10)
                    .default_value(defaults.depth)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("codec", defaults.codec)
                    .nick("Codec")
                    .blurb("What the pictures will be encoded with, where it can't say their colorimetry")
                    .mutable_ready()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        let result = match pspec.name() {
            "depth" => value.get().map(|v| settings.depth = v),
            "codec" => value.get().map(|v| settings.codec = v),
            _ => Ok(()),
        };
        if let Err(e) = result {
            gst::error!(CAT, imp = self, "property {}: {e}", pspec.name());
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "depth" => lock(&self.settings).depth.to_value(),
            "codec" => lock(&self.settings).codec.to_value(),
            _ => pspec.default_value().clone(),
        }
    }
}

impl GstObjectImpl for ColorConvert {}

impl ElementImpl for ColorConvert {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Color converter",
                "Filter/Converter/Video/Colorspace",
                "Converts range, matrix and primaries, and maps high dynamic range to standard",
                "The lipflow authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = gst_video::VideoCapsBuilder::new().build();
            pads::sink_and_src(&caps)
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for ColorConvert {
    const MODE: BaseTransformMode = BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = true;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn transform_caps(
        &self,
        direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let depth = lock(&self.settings).most_bits();
        let mut other = gst::Caps::new_empty();
        {
            let other = other.make_mut();
            for (structure, features) in caps.iter_with_features() {
                for changed in counterparts(structure, direction, depth) {
                    other.append_structure_full(changed, Some(features.to_owned()));
                }
            }
        }
        Some(match filter {
            Some(filter) => filter.intersect_with_mode(&other, gst::CapsIntersectMode::First),
            None => other,
        })
    }

    fn fixate_caps(
        &self,
        direction: gst::PadDirection,
        caps: &gst::Caps,
        othercaps: gst::Caps,
    ) -> gst::Caps {
        let mut fixed = othercaps;
        fixed.truncate();
        if direction == gst::PadDirection::Sink
            && let Ok(input) = VideoInfo::from_caps(caps)
            && Planar::of(input.format()).is_some()
        {
            self.fixate_output(caps, &input, fixed.make_mut());
        }
        fixed.fixate();
        fixed
    }
}

impl VideoFilterImpl for ColorConvert {
    fn set_info(
        &self,
        incaps: &gst::Caps,
        in_info: &VideoInfo,
        _outcaps: &gst::Caps,
        out_info: &VideoInfo,
    ) -> Result<(), gst::LoggableError> {
        let (from, to) = (in_info.colorimetry(), out_info.colorimetry());
        let formats = Planar::of(in_info.format()).zip(Planar::of(out_info.format()));
        let converter = match formats {
            Some((a, b)) => {
                let peak = meaning::peak(incaps);
                if meaning::is_hdr(&to) && to.transfer() != from.transfer() {
                    return Err(gst::loggable_error!(CAT, "can't make {to} of {from}"));
                }
                let (a, b) = (
                    meaning::meaning(&from, a.bits, peak),
                    meaning::meaning(&to, b.bits, peak),
                );
                Converter::new(a, b)
            }
            None => {
                if meaning::is_hdr(&from) {
                    gst::element_imp_warning!(
                        self,
                        gst::StreamError::Format,
                        ("Pictures of high dynamic range pass as they are. Put videoconvert ! \
                             video/x-raw,format=I420_10LE before colorconvert")
                    );
                }
                None
            }
        };
        gst::info!(
            CAT,
            imp = self,
            "{} {from} to {} {to}: {}",
            in_info.name(),
            out_info.name(),
            if converter.is_some() {
                "converted"
            } else {
                "passed"
            }
        );
        self.obj().set_passthrough(converter.is_none());
        *lock(&self.converter) = converter.map(Arc::new);
        Ok(())
    }

    fn transform_frame(
        &self,
        from: &VideoFrameRef<&gst::BufferRef>,
        to: &mut VideoFrameRef<&mut gst::BufferRef>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let converter = lock(&self.converter).clone();
        let Some(converter) = converter else {
            return Err(gst::FlowError::NotNegotiated);
        };
        let format = from.format_info();
        let size = Size {
            width: from.width() as usize,
            height: from.height() as usize,
            sub_x: format.w_sub()[1],
            sub_y: format.h_sub()[1],
        };
        let strides = |strides: &[i32]| -> Option<[usize; 3]> {
            let [a, b, c] = *strides.first_chunk()?;
            let positive = |v: i32| usize::try_from(v).ok().filter(|v| *v > 0);
            Some([positive(a)?, positive(b)?, positive(c)?])
        };
        let (Some(from_strides), Some(to_strides)) =
            (strides(from.plane_stride()), strides(to.plane_stride()))
        else {
            gst::element_imp_error!(
                self,
                gst::StreamError::Format,
                ("The picture's rows run backwards. Put videoconvert before colorconvert")
            );
            return Err(gst::FlowError::Error);
        };
        let [a, b, c, _] = from.planes_data();
        let [x, y, z, _] = to.planes_data_mut();
        let source = |bytes, i: usize| Source {
            bytes,
            stride: from_strides[i],
        };
        let target = |bytes, i: usize| Target {
            bytes,
            stride: to_strides[i],
        };
        converter.run(
            size,
            [source(a, 0), source(b, 1), source(c, 2)],
            [target(x, 0), target(y, 1), target(z, 2)],
        );
        Ok(gst::FlowSuccess::Ok)
    }
}

impl ColorConvert {
    /// Which colours downstream takes of such pictures, if it does not take all.
    fn wanted(&self, output: &gst::Caps) -> Option<Vec<VideoColorimetry>> {
        let taken = self.obj().src_pad().peer_query_caps(Some(output));
        let mut wanted = Vec::new();
        for structure in taken.iter() {
            wanted.extend(colours(structure.value("colorimetry").ok()?));
        }
        (!wanted.is_empty()).then_some(wanted)
    }

    fn fixate_output(&self, input_caps: &gst::Caps, input: &VideoInfo, output: &mut gst::CapsRef) {
        let Some(structure) = output.structure_mut(0) else {
            return;
        };
        let own = input.format().to_str();
        structure.fixate_field_str("format", own);
        let format = structure.get::<&str>("format").ok();
        let Some(planar) = format.and_then(|f| Planar::of(VideoFormat::from_string(f))) else {
            return;
        };
        let allowed = match structure.value("colorimetry") {
            Ok(value) => Some(colours(value)),
            // Where all else is fixed, the base class does not ask downstream.
            Err(_) => self.wanted(&output.to_owned()),
        };
        let Some(structure) = output.structure_mut(0) else {
            return;
        };
        let own = input.colorimetry();
        let Some(mut chosen) = meaning::choose(&own, planar.bits, allowed.as_deref()) else {
            return;
        };
        if lock(&self.settings).codec == Codec::Vp8 {
            chosen = meaning::in_bt601(&chosen);
        }
        if chosen == own {
            // Word for word, so that nothing is negotiated anew over another spelling.
            if let Some(from) = input_caps.structure(0) {
                for field in [
                    "colorimetry",
                    "mastering-display-info",
                    "content-light-level",
                ] {
                    match from.value(field) {
                        Ok(value) => structure.set_value(field, value.clone()),
                        Err(_) => structure.remove_field(field),
                    }
                }
            }
        } else {
            structure.set("colorimetry", chosen.to_string());
        }
    }
}

fn colours(value: &glib::SendValue) -> Vec<VideoColorimetry> {
    names(value).iter().filter_map(|n| n.parse().ok()).collect()
}

/// The strings in a field, which is one or has a list of them.
fn names(value: &glib::SendValue) -> Vec<String> {
    match value.get::<gst::List>() {
        Ok(list) => list.iter().filter_map(|v| v.get().ok()).collect(),
        Err(_) => value.get().into_iter().collect(),
    }
}

/// What stands at the other side of the element where `structure` is at the pad of that direction.
fn counterparts(
    structure: &gst::StructureRef,
    direction: gst::PadDirection,
    depth: u32,
) -> Vec<gst::Structure> {
    let Ok(formats) = structure.value("format").map(names) else {
        let mut any = structure.to_owned();
        any.remove_field("colorimetry");
        return vec![any];
    };
    let (mut planar, mut others) = (Vec::new(), Vec::new());
    for name in formats {
        match Planar::of(VideoFormat::from_string(&name)) {
            Some(format) => planar.push(format),
            None => others.push(name),
        }
    }
    let mut to: Vec<VideoFormat> = Vec::new();
    for own in planar {
        let twin = PLANAR.iter().find(|p| p.format == own.twin);
        let choices = [Some(&own), twin];
        let is_possible = |p: &&Planar| match direction {
            gst::PadDirection::Src => own.bits <= depth,
            _ => p.bits <= depth,
        };
        for choice in choices.into_iter().flatten().filter(is_possible) {
            if !to.contains(&choice.format) {
                to.push(choice.format);
            }
        }
    }
    let with = |formats: Vec<&str>| {
        let mut changed = structure.to_owned();
        match formats[..] {
            [one] => changed.set("format", one),
            _ => changed.set("format", gst::List::new(formats)),
        }
        changed
    };
    let mut all = Vec::new();
    if !to.is_empty() {
        let mut changed = with(to.iter().map(|f| f.to_str().as_str()).collect());
        changed.remove_field("colorimetry");
        meaning::without_brightness(&mut changed);
        all.push(changed);
    }
    if !others.is_empty() {
        all.push(with(others.iter().map(String::as_str).collect()));
    }
    all
}
