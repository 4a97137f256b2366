//! Finding and following faces. No GStreamer types here.

/// Number of points of the face mesh.
pub const MESH_POINTS: usize = 468;

/// An upright rectangle in frame pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    pub x: f32,
    pub y: f32,
    pub width: f32,
    pub height: f32,
}

/// The face mesh: x and y in frame pixels, z (towards the viewer is negative) in the same scale.
/// Numbering is that of the MediaPipe face mesh.
#[derive(Clone, Debug, PartialEq)]
pub struct Mesh(pub Box<[[f32; 3]; MESH_POINTS]>);

/// One followed face in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Face {
    /// Stays with the person while they are followed.
    pub id: u32,
    pub bounds: Rect,
    /// Confidence, 0 to 1.
    pub score: f32,
    /// Absent where the face was detected but its points are not followed.
    pub mesh: Option<Mesh>,
}
