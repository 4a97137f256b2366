"""The GRID speaker: measured movement and phone times of 1000 utterances."""

import json
import os

import numpy as np
import soundfile

from .align import Aligner, grid_words
from .landmarks import measure

FPS = 25


def load(folder, cache):
    """-> [(name, samples, measured [frames, 5], phones)]; frames without a face are filled from their neighbours."""
    # Each look into a file of arrays unpacks one anew.
    with np.load(f"{folder}/landmarks.npz") as file:
        data = dict(file)
    ends = np.cumsum(data["frames"])
    phones = _phones(folder, data["clip"], cache)
    found = []
    for name, end, count in zip(data["clip"], ends, data["frames"]):
        points = data["points"][end - count : end].astype(np.float32) / 64
        seen = points[:, 0, 0] > -500
        if seen.sum() < 0.8 * count or len(phones[name]) < 8:
            continue
        points = points[_nearest(seen)]
        samples, _ = soundfile.read(f"{folder}/audio/{name}.flac", dtype="float32")
        found.append((str(name), samples, measure(points, data["index"]), phones[name]))
    return found


def _nearest(seen):
    where = np.flatnonzero(seen)
    return where[np.abs(np.arange(len(seen))[:, None] - where).argmin(1)]


def _phones(folder, names, cache):
    if os.path.exists(cache):
        return json.load(open(cache))
    aligner, found = Aligner(), {}
    for name in map(str, names):
        samples, _ = soundfile.read(f"{folder}/audio/{name}.flac", dtype="float32")
        found[name] = aligner.phones(samples, grid_words(name))
    with open(cache, "w") as out:
        json.dump(found, out)
    return found
