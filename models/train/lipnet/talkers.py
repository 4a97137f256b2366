"""How far real talkers open their mouths, measured in pictures by two models that know nothing of each other.

    python -m lipnet.talkers MESH.onnx OUT.npz CLIPS...

CLIPS are folders. A clip's sound is its own, or the .wav beside it; one that has none is left out. MESH.onnx is the 468-point face mesh (input [1, 3, 192, 192], output [1, 1404, 1, 1] or alike), which `cargo xtask setup`
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
    data = subprocess.run(command, capture_output=True).stdout
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
            # Until the face is seen, the frames are those of the first that has one.
            ours.append(None)
            continue
        values = measure(points[None].astype(np.float32), range(468))[0]
        ours.append((values[0], values[1]))
        p = np.mean([_points(predictor, picture, face, dx, dy) for dx in (-3, 0, 3) for dy in (-3, 0, 3)], 0)
        unit = np.linalg.norm(p[36:42].mean(0) - p[42:48].mean(0))
        gap = np.mean([np.linalg.norm(p[a] - p[b]) for a, b in ((61, 67), (62, 66), (63, 65))]) / unit
        theirs.append((gap, np.linalg.norm(p[54] - p[48]) / unit / 2))
    unseen = ours.count(None)
    ours = ours[unseen:]
    if not ours:
        raise ValueError(f"no face in {path}")
    ours, theirs = ours[:1] * unseen + ours, theirs[:1] * unseen + theirs
    (a, c), (b, d) = np.array(ours).T, np.array(theirs).T
    return np.stack([a, b, c, d])


def main():
    mesh, out, *folders = sys.argv[1:]
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(face_recognition_models.pose_predictor_model_location())
    found = {}
    for path in sorted(path for folder in folders for kind in ("mpg", "mp4") for path in glob.glob(f"{folder}/*.{kind}")):
        name, beside = os.path.splitext(os.path.basename(path))[0], os.path.splitext(path)[0] + ".wav"
        heard = sound(beside if os.path.exists(beside) else path)
        if not len(heard):
            continue
        try:
            found[name] = measure_clip(path, mesh, detector, predictor).astype(np.float32)
        except ValueError as error:
            print(f"left out: {error}", flush=True)
            continue
        found[f"{name}.sound"] = heard
        print(name, found[name].shape, np.percentile(found[name], [5, 95], axis=1).T.round(3).tolist(), flush=True)
    np.savez(out, **found)


if __name__ == "__main__":
    main()
