"""How far real talkers open their mouths, measured in pictures by two models that know nothing of each other.

    python -m lipnet.talkers CLIPS MESH.onnx OUT.npz

MESH.onnx is the 468-point face mesh (input [1, 3, 192, 192], output [1, 1404, 1, 1] or alike), which `cargo xtask setup`
fetches; the other is dlib's 68-point predictor from the package face-recognition-models: to judge with, not to ship.
"""

import glob
import os
import subprocess
import sys

import dlib
import face_recognition_models
import numpy as np

from .landmarks import measure
from .mel import RATE
from .mesh import look


def sound(path):
    command = ["ffmpeg", "-v", "error", "-i", path, "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768


def _points(predictor, picture, face, dx, dy):
    """The predictor is sensitive to where exactly the box is; the mean over several boxes is steadier."""
    box = dlib.rectangle(face.left() + dx, face.top() + dy, face.right() + dx, face.bottom() + dy)
    shape = predictor(picture, box)
    return np.array([(shape.part(i).x, shape.part(i).y) for i in range(68)], float)


def measure_clip(path, mesh_path, detector, predictor):
    """-> opening by the mesh, by dlib; width by the mesh, by dlib; each [frames], in eye distances."""
    ours, theirs = [], []
    for picture, face, points in look(path, mesh_path, detector):
        if face is None:
            raise ValueError(f"no face in the first picture of {path}")
        values = measure(points[None].astype(np.float32), range(468))[0]
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
