//! Faces as objects of GstAnalytics, which GStreamer has since 1.24: an object of type `face` with its box and
//! score, and a tracking with the number of the track, to which the object is related.

use gst::glib;
use gst_analytics::prelude::*;
use gst_analytics::{AnalyticsODMtd, AnalyticsRelationMeta, AnalyticsTrackingMtd, RelTypes};

use super::{LEAST_IN_COMMON, ROI_TYPE};
use crate::face::{Face, Rect};

fn kind() -> glib::Quark {
    glib::Quark::from_str(ROI_TYPE)
}

/// Attaches an object for each face that is none yet. A tracking begins where this buffer does: which buffers
/// the face was on before, the buffer does not know.
pub fn attach(buffer: &mut gst::BufferRef, faces: &[Face]) {
    let known = objects(buffer);
    let time = buffer.pts().unwrap_or_default();
    let new = faces
        .iter()
        .filter(|face| !is_among(&known, face))
        .collect::<Vec<_>>();
    if new.is_empty() {
        return;
    }
    if buffer.meta::<AnalyticsRelationMeta>().is_none() {
        AnalyticsRelationMeta::add(buffer);
    }
    let Some(mut meta) = buffer.meta_mut::<AnalyticsRelationMeta>() else {
        return;
    };
    for face in new {
        let Rect {
            x,
            y,
            width,
            height,
        } = face.bounds;
        let [x, y, width, height] = [x, y, width, height].map(|value| value.round() as i32);
        let object = meta.add_od_mtd(kind(), x, y, width, height, face.score);
        let object = object.map(|object| object.id());
        let track = meta.add_tracking_mtd(u64::from(face.id), time);
        let track = track.map(|track| track.id());
        // It has no room any more; the regions tell the same.
        let (Ok(object), Ok(track)) = (object, track) else {
            return;
        };
        if meta
            .set_relation(RelTypes::RELATE_TO, object, track)
            .is_err()
        {
            return;
        }
    }
}

/// Adds the objects that are no faces of the list yet.
pub fn complete(faces: &mut Vec<Face>, buffer: &gst::BufferRef) {
    let objects = objects(buffer).into_iter();
    let new: Vec<_> = objects.filter(|face| !is_among(faces, face)).collect();
    faces.extend(new);
}

/// Whether a face is one of those already, by its track or by its place.
fn is_among(faces: &[Face], face: &Face) -> bool {
    faces
        .iter()
        .any(|other| other.id == face.id || other.bounds.iou(&face.bounds) >= LEAST_IN_COMMON)
}

/// The objects that are faces. One that nobody tracks has a number that no tracker gives.
fn objects(buffer: &gst::BufferRef) -> Vec<Face> {
    let Some(meta) = buffer.meta::<AnalyticsRelationMeta>() else {
        return Vec::new();
    };
    let objects = meta.iter::<AnalyticsODMtd>();
    objects
        .filter(|object| object.obj_type() == Some(kind()))
        .filter_map(|object| {
            let place = object.location().ok()?;
            let related = RelTypes::RELATE_TO;
            let track = meta
                .iter_direct_related::<AnalyticsTrackingMtd>(object.id(), related)
                .next();
            let id = track.map(|track| track.info().0 as u32);
            Some(Face {
                id: id.unwrap_or(u32::MAX - object.id()),
                bounds: Rect {
                    x: place.x as f32,
                    y: place.y as f32,
                    width: place.w as f32,
                    height: place.h as f32,
                },
                score: place.loc_conf_lvl,
                mesh: None,
            })
        })
        .collect()
}
