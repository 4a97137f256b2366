//! Faces on buffers: GStreamer's own region-of-interest meta, so that another detector can take
//! the place of `facetrack`.
//!
//! Each face is one `GstVideoRegionOfInterestMeta` of type `face`: its id is the track, its box the
//! face, and its parameter structure `face` holds `score` (double, 0 to 1) and, where the mesh is
//! followed, `points` (GBytes: 468 times x, y, z as native-endian 32-bit floats in frame pixels).

use gst_video::VideoRegionOfInterestMeta;

use crate::face::{Face, MESH_POINTS, Mesh, Rect};

const ROI_TYPE: &str = "face";
const PARAMS: &str = "face";

/// Attaches one meta per face.
pub fn attach(buffer: &mut gst::BufferRef, faces: &[Face], width: u32, height: u32) {
    for face in faces {
        let bounds = clip(face.bounds, width, height);
        let mut params = gst::Structure::builder(PARAMS)
            .field("score", f64::from(face.score))
            .build();
        if let Some(mesh) = &face.mesh {
            let bytes: Vec<u8> = mesh
                .0
                .iter()
                .flatten()
                .flat_map(|v| v.to_ne_bytes())
                .collect();
            params.set("points", gst::glib::Bytes::from_owned(bytes));
        }
        let mut meta = VideoRegionOfInterestMeta::add(buffer, ROI_TYPE, bounds);
        meta.set_id(face.id as i32);
        meta.add_param(params);
    }
}

/// The faces that `attach`, or another detector, left on the buffer.
pub fn faces(buffer: &gst::BufferRef) -> Vec<Face> {
    buffer
        .iter_meta::<VideoRegionOfInterestMeta>()
        .filter(|meta| meta.roi_type() == ROI_TYPE)
        .map(|meta| {
            let (x, y, width, height) = meta.rect();
            let params = meta.param(PARAMS);
            Face {
                id: meta.id() as u32,
                bounds: Rect {
                    x: x as f32,
                    y: y as f32,
                    width: width as f32,
                    height: height as f32,
                },
                score: params
                    .and_then(|p| p.get::<f64>("score").ok())
                    .unwrap_or(1.0) as f32,
                mesh: params
                    .and_then(|p| p.get::<gst::glib::Bytes>("points").ok())
                    .and_then(|bytes| mesh(&bytes)),
            }
        })
        .collect()
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
        let mut points = Box::new([[0.0; 3]; MESH_POINTS]);
        points[467] = [1.5, -2.25, 3.0];
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
        attach(buffer.make_mut(), std::slice::from_ref(&face), 100, 100);
        assert_eq!(faces(&buffer), [face]);
    }
}
