//! Faces on buffers: GStreamer's own region-of-interest meta, so that another detector can take
//! the place of `facetrack`.
//!
//! Each face is one `GstVideoRegionOfInterestMeta` of type `face`: its id is the track, its box the
//! face, and its parameter structure `face` holds `score` (double, 0 to 1).
//!
//! The mesh of the faces that are followed is in a custom meta of its own, [`POINTS_META`], because
//! the parameters of a region do not survive a `videoscale` or `videoconvert`. It has no tags, so
//! every element copies it, and holds the size of the picture that its points are in: `width` and
//! `height` (unsigned integers) and `pixel-aspect-ratio` (fraction), and `points-ID` for each track (GBytes: 468 times x, y, z as
//! native-endian 32-bit floats in pixels) and `look-ID` (GBytes: how bright the picture is at some of
//! them). Whoever reads it scales the points to the size that the picture has by now. They count only
//! for a region that is there still and about where the points are, in a picture that looks there as
//! it did: elements that turn a picture may drop the regions or leave them where they were. A detector that gives points may also put
//! them into the region's parameters as `points`.
//!
//! Built with the feature `analytics`, for GStreamer 1.24 or newer, faces are objects of GstAnalytics too, and
//! objects of type `face` that other elements attach are faces: see `roi::analytics`.

#[cfg(feature = "analytics")]
mod analytics;
mod likeness;

use std::sync::Once;

use gst_video::{VideoFrameRef, VideoInfo, VideoMeta, VideoRegionOfInterestMeta};

use crate::face::{Face, MESH_POINTS, Mesh, Rect};
use crate::video;

const ROI_TYPE: &str = "face";
const PARAMS: &str = "face";

/// Name of the custom meta with the points of the faces.
pub const POINTS_META: &str = "LipflowFacePointsMeta";

/// So much a ratio of sides may change by rounding to whole pixels.
const SAME_SHAPE: f32 = 0.01;

/// So much, as intersection over union, the box around the points and the region have in common.
const LEAST_IN_COMMON: f32 = 0.5;

/// Makes the meta known to the process.
fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // Another copy of the plugin may have done so.
        if !gst::meta::CustomMeta::is_registered(POINTS_META) {
            gst::meta::CustomMeta::register(POINTS_META, &[]);
        }
    });
}

/// Attaches one region per face, and their points, to a picture with the caps of `info`.
pub fn attach(buffer: &mut gst::BufferRef, faces: &[Face], info: &VideoInfo) {
    for face in faces {
        let bounds = clip(face.bounds, info.width(), info.height());
        let params = gst::Structure::builder(PARAMS)
            .field("score", f64::from(face.score))
            .build();
        let mut meta = VideoRegionOfInterestMeta::add(buffer, ROI_TYPE, bounds);
        meta.set_id(face.id as i32);
        meta.add_param(params);
    }
    let followed = faces
        .iter()
        .filter_map(|face| Some((face.id, face.mesh.as_ref()?)));
    attach_points(buffer, followed, info);
    #[cfg(feature = "analytics")]
    analytics::attach(buffer, faces);
}

fn attach_points<'a>(
    buffer: &mut gst::BufferRef,
    followed: impl Iterator<Item = (u32, &'a Mesh)>,
    info: &VideoInfo,
) {
    register();
    let followed: Vec<(u32, &Mesh)> = followed.collect();
    if followed.is_empty() {
        return;
    }
    let looks: Vec<Vec<u8>> = VideoFrameRef::from_buffer_ref_readable(buffer, info)
        .map(|mapped| {
            let frame = video::frame(&mapped);
            let look = |(_, mesh): &(u32, &Mesh)| likeness::look(&frame, mesh);
            followed.iter().map(look).collect()
        })
        .unwrap_or_default();
    if gst::meta::CustomMeta::from_buffer(buffer, POINTS_META).is_err()
        && gst::meta::CustomMeta::add(buffer, POINTS_META).is_err()
    {
        return;
    }
    let Ok(mut meta) = gst::meta::CustomMeta::from_mut_buffer(buffer, POINTS_META) else {
        return;
    };
    let structure = meta.mut_structure();
    // Those of an earlier element may be in a picture of another size.
    structure.remove_all_fields();
    structure.set("width", info.width());
    structure.set("height", info.height());
    structure.set("pixel-aspect-ratio", info.par());
    for ((id, _), look) in followed.iter().zip(looks) {
        structure.set(look_field(*id), gst::glib::Bytes::from_owned(look));
    }
    for (id, mesh) in followed {
        let values = mesh.0.iter().flatten();
        let bytes: Vec<u8> = values.flat_map(|v| v.to_ne_bytes()).collect();
        structure.set(field(id), gst::glib::Bytes::from_owned(bytes));
    }
}

fn field(id: u32) -> String {
    format!("points-{id}")
}

fn look_field(id: u32) -> String {
    format!("look-{id}")
}

/// The faces that [`attach`], or another detector, left on the buffer, in a picture that nobody
/// scaled since.
pub fn faces(buffer: &gst::BufferRef) -> Vec<Face> {
    read(buffer, None)
}

/// As [`faces`], in pixels of the picture that the buffer holds by now; `info` is of its caps.
pub fn faces_in(buffer: &gst::BufferRef, info: &VideoInfo) -> Vec<Face> {
    // A picture that is to be cut is whole yet.
    let whole = buffer
        .meta::<VideoMeta>()
        .map_or((info.width(), info.height()), |m| (m.width(), m.height()));
    let mut faces = read(buffer, Some((whole, info.par())));
    let Ok(points) = gst::meta::CustomMeta::from_buffer(buffer, POINTS_META) else {
        return faces;
    };
    let Ok(mapped) = VideoFrameRef::from_buffer_ref_readable(buffer, info) else {
        return faces;
    };
    let frame = video::frame(&mapped);
    for face in &mut faces {
        let look = points
            .structure()
            .get::<gst::glib::Bytes>(&look_field(face.id));
        if let (Some(mesh), Ok(look)) = (&face.mesh, look)
            && !likeness::is_in_place(&frame, mesh, &look)
        {
            face.mesh = None;
        }
    }
    faces
}

/// The size of a picture, in pixels, and what shape those have.
type Size = ((u32, u32), gst::Fraction);

fn read(buffer: &gst::BufferRef, now: Option<Size>) -> Vec<Face> {
    register();
    let points = gst::meta::CustomMeta::from_buffer(buffer, POINTS_META).ok();
    let points = points.as_ref().map(|meta| meta.structure());
    #[cfg_attr(not(feature = "analytics"), allow(unused_mut))]
    let mut faces: Vec<Face> = buffer
        .iter_meta::<VideoRegionOfInterestMeta>()
        .filter(|meta| meta.roi_type() == ROI_TYPE)
        .map(|meta| {
            let (x, y, width, height) = meta.rect();
            let params = meta.param(PARAMS);
            let region = Rect {
                x: x as f32,
                y: y as f32,
                width: width as f32,
                height: height as f32,
            };
            let id = meta.id() as u32;
            let own = params.and_then(|p| p.get::<gst::glib::Bytes>("points").ok());
            let own = own.and_then(|bytes| mesh(&bytes));
            let (bounds, mesh) = match own {
                Some(mesh) => (region, Some(mesh)),
                None => points
                    .and_then(|points| points_of(points, id, region, now))
                    .map_or((region, None), |(bounds, mesh)| (bounds, Some(mesh))),
            };
            Face {
                id,
                bounds,
                score: params
                    .and_then(|p| p.get::<f64>("score").ok())
                    .unwrap_or(1.0) as f32,
                mesh,
            }
        })
        .collect();
    #[cfg(feature = "analytics")]
    analytics::complete(&mut faces, buffer);
    faces
}

/// Whether the buffer has points of faces that no region tells the place of any more.
pub fn are_points_lost(buffer: &gst::BufferRef) -> bool {
    register();
    gst::meta::CustomMeta::from_buffer(buffer, POINTS_META).is_ok()
}

/// Moves the faces.
pub fn shift(faces: &mut [Face], x: f32, y: f32) {
    for face in faces {
        face.bounds.x += x;
        face.bounds.y += y;
        for point in face.mesh.iter_mut().flat_map(|mesh| mesh.0.iter_mut()) {
            point[0] += x;
            point[1] += y;
        }
    }
}

/// The box and the points of track `id` in a picture of the size `now`, if they fit to its region.
fn points_of(
    structure: &gst::StructureRef,
    id: u32,
    region: Rect,
    now: Option<Size>,
) -> Option<(Rect, Mesh)> {
    let bytes = structure.get::<gst::glib::Bytes>(&field(id)).ok()?;
    let mut mesh = mesh(&bytes)?;
    let size = |field: &str| structure.get::<u32>(field).ok().filter(|size| *size > 0);
    let then = (size("width")?, size("height")?);
    let par = structure.get::<gst::Fraction>("pixel-aspect-ratio").ok()?;
    let (now, par_now) = now.unwrap_or((then, par));
    // Whoever scales a picture scales the regions so, whatever borders they add.
    let (x, y) = (now.0 as f32 / then.0 as f32, now.1 as f32 / then.1 as f32);
    let fits = {
        let Rect {
            x: left,
            y: top,
            width,
            height,
        } = mesh.bounds();
        let seen = Rect {
            x: left * x,
            y: top * y,
            width: width * x,
            height: height * y,
        };
        clipped(seen, now).iou(&region) >= LEAST_IN_COMMON
    };
    if !fits {
        return None;
    }
    if (x, y) == (1.0, 1.0) {
        return Some((region, mesh));
    }
    // A picture whose shape would change is put between borders instead, as `videoscale` does.
    let wider = x * ratio(par_now) / (y * ratio(par));
    let (x, left) = match wider > 1.0 + SAME_SHAPE {
        true => (x / wider, now.0 as f32 * (1.0 - 1.0 / wider) / 2.0),
        false => (x, 0.0),
    };
    let (y, top) = match wider < 1.0 - SAME_SHAPE {
        true => (y * wider, now.1 as f32 * (1.0 - wider) / 2.0),
        false => (y, 0.0),
    };
    for point in mesh.0.iter_mut() {
        // Depth is in the unit of the width.
        *point = [point[0] * x + left, point[1] * y + top, point[2] * x];
    }
    Some((clipped(mesh.bounds(), now), mesh))
}

fn ratio(fraction: gst::Fraction) -> f32 {
    match (fraction.numer(), fraction.denom()) {
        (numer, denom) if numer > 0 && denom > 0 => numer as f32 / denom as f32,
        _ => 1.0,
    }
}

fn clipped(bounds: Rect, (width, height): (u32, u32)) -> Rect {
    let (x, y, width, height) = clip(bounds, width, height);
    Rect {
        x: x as f32,
        y: y as f32,
        width: width as f32,
        height: height as f32,
    }
}

fn mesh(bytes: &[u8]) -> Option<Mesh> {
    if bytes.len() != MESH_POINTS * 12 {
        return None;
    }
    let mut points = Box::new([[0.0; 3]; MESH_POINTS]);
    for (value, chunk) in points.iter_mut().flatten().zip(bytes.chunks_exact(4)) {
        *value = f32::from_ne_bytes(chunk.try_into().ok()?);
    }
    points
        .iter()
        .flatten()
        .all(|v| v.is_finite())
        .then_some(Mesh(points))
}

fn clip(r: Rect, width: u32, height: u32) -> (u32, u32, u32, u32) {
    let x0 = r.x.clamp(0.0, width as f32) as u32;
    let y0 = r.y.clamp(0.0, height as f32) as u32;
    let x1 = (r.x + r.width).clamp(0.0, width as f32) as u32;
    let y1 = (r.y + r.height).clamp(0.0, height as f32) as u32;
    (x0, y0, x1.saturating_sub(x0), y1.saturating_sub(y0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_survive_the_buffer() {
        gst::init().unwrap();
        let mut points = Box::new([[10.0, 20.0, -2.25]; MESH_POINTS]);
        points[467] = [40.0, 60.0, 3.0];
        let face = Face {
            id: 7,
            bounds: Rect {
                x: 10.0,
                y: 20.0,
                width: 30.0,
                height: 40.0,
            },
            score: 0.5,
            mesh: Some(Mesh(points)),
        };
        let mut buffer = gst::Buffer::new();
        let info = VideoInfo::builder(gst_video::VideoFormat::I420, 100, 100).build();
        attach(
            buffer.make_mut(),
            std::slice::from_ref(&face),
            &info.unwrap(),
        );
        assert_eq!(faces(&buffer), [face]);
    }

    #[test]
    fn points_of_a_picture_that_was_mirrored_in_place_do_not_count() {
        gst::init().unwrap();
        const SIZE: usize = 96;
        let format = gst_video::VideoFormat::Y444;
        let info = VideoInfo::builder(format, SIZE as u32, SIZE as u32).build();
        let info = info.unwrap();
        // Blobs that are nowhere alike.
        let mut pixels: Vec<u8> = (0..info.size())
            .map(|i| {
                let (x, y) = ((i % SIZE) as f32, (i / SIZE % SIZE) as f32);
                (120.0 + 60.0 * (x * 0.11).sin() + 40.0 * (x * y * 0.002).cos()) as u8
            })
            .collect();
        let mut points = Box::new([[0.0; 3]; MESH_POINTS]);
        for (i, point) in points.iter_mut().enumerate() {
            *point = [15.0 + (i * 7 % 60) as f32, 20.0 + (i * 13 % 50) as f32, 0.0];
        }
        let mesh = Mesh(points);
        let face = Face {
            id: 3,
            bounds: mesh.bounds(),
            score: 1.0,
            mesh: Some(mesh),
        };
        let mut buffer = gst::Buffer::from_mut_slice(pixels.clone());
        attach(buffer.get_mut().unwrap(), &[face], &info);
        assert!(faces_in(&buffer, &info)[0].mesh.is_some());
        let mut paint = |pixels: &[u8]| {
            let writable = buffer.get_mut().unwrap();
            let mut map = writable.map_writable().unwrap();
            map.copy_from_slice(pixels);
            drop(map);
            faces_in(&buffer, &info)[0].mesh.is_some()
        };
        // Half as bright is the same picture still, and of a black one nothing can be told.
        let dim: Vec<u8> = pixels.iter().map(|v| v / 2).collect();
        assert!(paint(&dim));
        assert!(paint(&vec![16; info.size()]));
        pixels.chunks_mut(SIZE).for_each(<[u8]>::reverse);
        assert!(!paint(&pixels));
    }
}
