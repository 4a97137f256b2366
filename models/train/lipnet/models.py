"""Models of every kind as one: samples at 16 kHz -> [rows, outputs], a row every 20 ms.

A model is named by its file, `mouth.onnx`; a head with its front end, `FRONT.onnx:head_stream.onnx`; and the mean of several
by `A+B`.
"""

import numpy as np
import onnxruntime

from .front import Front, LOOKS, ROWS_PER_SECOND
from .mel import COLUMNS_PER_SECOND, FLOOR, RATE, mel
from .network import AFTER, BEFORE


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)


class Mel:
    """A network that is fed a spectrogram. One that pads (as long an output as its input) is judged just as well."""

    def __init__(self, path):
        self.session = session(path)

    def __call__(self, samples):
        m = np.pad(mel(samples), ((BEFORE, AFTER), (0, 0)), constant_values=FLOOR)
        said = self.session.run(["mouth"], {"mel": m.T[None]})[0][0].T
        said = said[BEFORE : len(said) - AFTER] if len(said) == len(m) else said
        at = np.arange(len(samples) * ROWS_PER_SECOND // RATE) * COLUMNS_PER_SECOND / ROWS_PER_SECOND
        return np.stack([np.interp(at, np.arange(len(said)), column) for column in said.T], 1)


class Headed:
    """A front end and a head."""

    def __init__(self, front, path):
        self.front = Front(front)
        self.head = session(path)
        rows = self.head.get_inputs()[0].shape[1]
        self.look = next(look for look in LOOKS.values() if look.rows == rows)

    def __call__(self, samples):
        said = [self.head.run(None, {"features": f[None]})[0][0].T for _, f in self.front.windows(samples, self.look)]
        return np.concatenate(said)[: len(samples) * ROWS_PER_SECOND // RATE]


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


def at_frames(values, count, fps=25):
    """Rows -> the value at each frame's time."""
    return np.interp(np.arange(count) / fps, np.arange(len(values)) / ROWS_PER_SECOND, values)


def correlation(a, b):
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-6 and b.std() > 1e-6 else float("nan")


def best_lag(said, true, reach=5):
    """-> correlation, lag in frames: positive if the picture is later than the model."""
    found = []
    for lag in range(-reach, reach + 1):
        a, b = (said[: len(said) - lag], true[lag:]) if lag >= 0 else (said[-lag:], true[:lag])
        found.append((correlation(a, b), lag))
    return max(found)


def drawn(said):
    """The opening as the plugin draws it: pressed lips are closed, whatever the opening says."""
    t = np.clip(said[:, 3] / 0.35, 0, 1)
    return said[:, 0] * (1 - t * t * (3 - 2 * t))


def closures(opening, bilabials, span, rate):
    """How many of these phones reach less than 15 % of the range within 40 ms of their middle, of how many."""
    times = np.arange(len(opening)) / rate
    closed = 0
    for start, end in bilabials:
        near = opening[np.abs(times - (start + end) / 2) <= 0.04]
        closed += len(near) > 0 and near.min() < 0.15 * span
    return closed, len(bilabials)
