"""What the 468-point face mesh sees in videos: landmarks.npz, from which the GRID talker's movement is measured.

    python -m lipnet.mesh VIDEOS MESH.onnx OUT.npz

MESH.onnx (input [1, 3, 192, 192], output [1, 1404, 1, 1] or alike) is what `cargo xtask setup` fetches.
"""

import glob
import os
import subprocess
import sys

import cv2
import dlib
import numpy as np
import onnxruntime

from .landmarks import POINTS

FPS = 25
# Where no face was found.
NOTHING = np.iinfo(np.int16).min


def frames(path):
    """The pictures of a clip at 25 fps, RGB."""
    probe = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height", "-of", "csv=p=0"]
    width, height = map(int, subprocess.check_output([*probe, path], text=True).strip().split(",")[:2])
    command = ["ffmpeg", "-v", "error", "-i", path, "-r", str(FPS), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3)


class Mesh:
    """The mesh, whose crop follows the face from frame to frame."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options)
        self.input = self.session.get_inputs()[0].name
        self.crop = None

    def points(self, picture, face):
        for _ in range(1 if self.crop else 3):
            if self.crop is None:
                centre = np.array([(face.left() + face.right()) / 2, (face.top() + face.bottom()) / 2])
                self.crop = centre, 1.5 * face.width(), 0.0
            centre, side, angle = self.crop
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            corners = np.array([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5]]) * side @ turn.T + centre
            to_crop = cv2.getAffineTransform(np.float32(corners), np.float32([[0, 0], [192, 0], [0, 192]]))
            crop = cv2.warpAffine(picture, to_crop, (192, 192)).astype(np.float32) / 255
            values = self.session.run(None, {self.input: crop.transpose(2, 0, 1)[None]})
            found = max(values, key=np.size).reshape(468, 3)[:, :2]
            back = cv2.invertAffineTransform(to_crop)
            points = found @ back[:, :2].T + back[:, 2]
            eyes = points[[263, 362]].mean(0) - points[[33, 133]].mean(0)
            angle = np.arctan2(eyes[1], eyes[0])
            upright = points @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            low, high = upright.min(0), upright.max(0)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            self.crop = turn @ ((low + high) / 2), 1.5 * (high - low).max(), angle
        return points


def look(path, mesh_path, detector):
    """Each picture with the face's box and the mesh's points, both None before the first face."""
    mesh, face = Mesh(mesh_path), None
    for picture in frames(path):
        faces = detector(picture, 0)
        face = max(faces, key=lambda f: f.width()) if faces else face
        yield picture, face, None if face is None else mesh.points(picture, face)


def follow(path, mesh_path, detector):
    """-> the mesh's points in each picture, int16 [frames, POINTS, 2], in 1/64 pixel."""
    nothing = np.full((len(POINTS), 2), NOTHING)
    found = [nothing if p is None else np.round(64 * p[POINTS]) for _, _, p in look(path, mesh_path, detector)]
    return np.array(found).astype(np.int16)


def main():
    videos, mesh, out = sys.argv[1:4]
    detector = dlib.get_frontal_face_detector()
    paths = sorted(glob.glob(f"{videos}/*.mpg"))
    if not paths:
        raise SystemExit(f"there is no .mpg file in {videos}")
    clips = []
    for path in paths:
        clips.append(follow(path, mesh, detector))
        print(path, len(clips[-1]), flush=True)
    names = [os.path.basename(path)[:-4] for path in paths]
    np.savez_compressed(
        out, points=np.concatenate(clips), index=POINTS, clip=names, frames=[len(clip) for clip in clips]
    )


if __name__ == "__main__":
    main()
