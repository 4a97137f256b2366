"""How a model follows people that it never heard: the correlation with their own lips at the best lag within 5 frames.

    python -m lipnet.free TALKERS.npz NAME=mouth.onnx NAME=FRONT.onnx:head_stream.onnx NAME=A+B ...

TALKERS.npz is what lipnet.talkers measured. A + between models is the mean of what they say. Clips whose names are
GRID's count as GRID people, the others as free speech.
"""

import re
import sys

import numpy as np
import onnxruntime

from .evaluate import Model, correlation
from .front import Front, LOOKS, ROWS_PER_SECOND
from .mel import COLUMNS_PER_SECOND

FPS = 25
GRID = re.compile(r"(s\d+_train_)?[blps][bgrw][abiw][a-z][z1-9][anps]$|pato_")


class Mel:
    """A network that is fed a spectrogram."""

    def __init__(self, path):
        self.model = Model(path)

    def __call__(self, samples):
        said = self.model(samples)
        at = np.arange(len(samples) * ROWS_PER_SECOND // 16000) * COLUMNS_PER_SECOND / ROWS_PER_SECOND
        return np.stack([np.interp(at, np.arange(len(said)), column) for column in said.T], 1)


class Headed:
    """A front end and a head."""

    def __init__(self, front, path):
        self.front = Front(front)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.head = onnxruntime.InferenceSession(path, options)
        rows = self.head.get_inputs()[0].shape[1]
        self.look = next(look for look in LOOKS.values() if look.rows == rows)

    def __call__(self, samples):
        said = [self.head.run(None, {"features": f[None]})[0][0].T for _, f in self.front.windows(samples, self.look)]
        return np.concatenate(said)[: len(samples) * ROWS_PER_SECOND // 16000]


class Mean:
    def __init__(self, models):
        self.models = models

    def __call__(self, samples):
        said = [model(samples) for model in self.models]
        rows, outputs = (min(s.shape[k] for s in said) for k in (0, 1))
        return np.mean([s[:rows, :outputs] for s in said], 0)


def load(spec):
    if "+" in spec:
        return Mean([load(part) for part in spec.split("+")])
    return Headed(*spec.split(":")) if ":" in spec else Mel(spec)


def at_frames(values, count):
    return np.interp(np.arange(count) / FPS, np.arange(len(values)) / ROWS_PER_SECOND, values)


def best_lag(said, true, reach=5):
    """-> correlation, lag in frames: positive if the picture is later than the model."""
    found = []
    for lag in range(-reach, reach + 1):
        a, b = (said[: len(said) - lag], true[lag:]) if lag >= 0 else (said[-lag:], true[:lag])
        found.append((correlation(a, b), lag))
    return max(found)


def judge(said, measured):
    """-> r and lag of opening by the mesh, by dlib, of width by the mesh, by dlib."""
    return np.array([best_lag(at_frames(said[:, k], measured.shape[1]), measured[row]) for row, k in enumerate((0, 0, 1, 1))])


def table(models, talkers):
    """models: name -> samples -> [rows, outputs]. -> name -> clip -> [4, 2]"""
    clips = sorted(name for name in talkers.files if not name.endswith(".sound"))
    return {name: {clip: judge(model(talkers[f"{clip}.sound"]), talkers[clip]) for clip in clips} for name, model in models.items()}


def summary(clips):
    """-> kind -> mean r [4], largest |lag| of the opening."""
    found = {}
    for kind, wanted in (("GRID people", True), ("free speech", False)):
        values = np.array([v for clip, v in clips.items() if bool(GRID.match(clip)) == wanted])
        if len(values):
            found[kind] = values[:, :, 0].mean(0), values[:, :2, 1].mean(0)
    return found


def main():
    talkers = np.load(sys.argv[1])
    results = table({name: load(spec) for name, spec in (arg.split("=", 1) for arg in sys.argv[2:])}, talkers)
    print("| | " + " | ".join(results) + " |\n|---|" + "---|" * len(results))
    text = lambda v: f"{v[0, 0]:.2f} / {v[1, 0]:.2f} ({v[1, 1]:+.0f}); {v[2, 0]:.2f} / {v[3, 0]:.2f}"
    for clip in next(iter(results.values())):
        print(f"| {clip} | " + " | ".join(text(clips[clip]) for clips in results.values()) + " |")
    sums = {name: summary(clips) for name, clips in results.items()}
    for kind in next(iter(sums.values())):
        for what, (a, b) in (("opening", (0, 1)), ("width", (2, 3))):
            cells = (f"{s[kind][0][a]:.3f} / {s[kind][0][b]:.3f}" for s in sums.values())
            print(f"| {kind}: {what}, mesh / dlib | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
