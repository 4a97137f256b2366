"""How far real talkers open their mouths, measured in pictures by two models that know nothing of each other.

    python -m lipnet.talkers CLIPS MESH.onnx OUT.npz

MESH.onnx is the 468-point face mesh (input [1, 3, 192, 192], output [1, 1404, 1, 1] or alike), which `cargo xtask setup`
fetches; the other is dlib's 68-point predictor from the package face-recognition-models: to judge with, not to ship.
"""

import glob
import os
import subprocess
import sys

import cv2
import dlib
import face_recognition_models
import numpy as np
import onnxruntime

from .landmarks import measure
from .mel import RATE

FPS = 25


def frames(path):
    """The pictures of a clip at 25 fps, RGB."""
    probe = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height", "-of", "csv=p=0"]
    width, height = map(int, subprocess.check_output([*probe, path], text=True).strip().split(",")[:2])
    command = ["ffmpeg", "-v", "error", "-i", path, "-r", str(FPS), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3)


def sound(path):
    command = ["ffmpeg", "-v", "error", "-i", path, "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768


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


def _points(predictor, picture, face, dx, dy):
    """The predictor is sensitive to where exactly the box is; the mean over several boxes is steadier."""
    box = dlib.rectangle(face.left() + dx, face.top() + dy, face.right() + dx, face.bottom() + dy)
    shape = predictor(picture, box)
    return np.array([(shape.part(i).x, shape.part(i).y) for i in range(68)], float)


def measure_clip(path, mesh_path, detector, predictor):
    """-> opening by the mesh, by dlib; width by the mesh, by dlib; each [frames], in eye distances."""
    mesh, face = Mesh(mesh_path), None
    ours, theirs = [], []
    for picture in frames(path):
        faces = detector(picture, 0)
        face = max(faces, key=lambda f: f.width()) if faces else face
        if face is None:
            raise ValueError(f"no face in the first picture of {path}")
        values = measure(mesh.points(picture, face)[None].astype(np.float32), range(468))[0]
        ours.append((values[0], values[1]))
        p = np.mean([_points(predictor, picture, face, dx, dy) for dx in (-3, 0, 3) for dy in (-3, 0, 3)], 0)
        unit = np.linalg.norm(p[36:42].mean(0) - p[42:48].mean(0))
        gap = np.mean([np.linalg.norm(p[a] - p[b]) for a, b in ((61, 67), (62, 66), (63, 65))]) / unit
        theirs.append((gap, np.linalg.norm(p[54] - p[48]) / unit / 2))
    (a, c), (b, d) = np.array(ours).T, np.array(theirs).T
    return np.stack([a, b, c, d])


def main():
    clips, mesh, out = sys.argv[1:4]
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(face_recognition_models.pose_predictor_model_location())
    found = {}
    for path in sorted(glob.glob(f"{clips}/*.mpg")):
        name = os.path.basename(path)[:-4]
        found[name] = measure_clip(path, mesh, detector, predictor).astype(np.float32)
        found[f"{name}.sound"] = sound(path)
        print(name, found[name].shape, np.percentile(found[name], [5, 95], axis=1).T.round(3).tolist())
    np.savez(out, **found)


if __name__ == "__main__":
    main()
