"""The Mandarin performer: blendshapes -> movement.

The shapes have no common unit, so the sums are scaled by their percentiles to the range of the other speaker.
Which shape opens the mouth, and by how much beside the others, is by hand, from what the shapes are called.
"""

import numpy as np
import soundfile

from .landmarks import NAMES
from .mel import COLUMNS_PER_SECOND

FPS = 30
HELD = ("1114_3_16",)
OPENING = {"mouth_stretch_c": 1.0, "mouth_lowerLipDepress_l": 0.5, "mouth_upperLipRaise_l": 0.5, "mouth_oh_c": 0.25,
           "mouth_funnel_dl": 0.25, "mouth_press_l": -1.0, "mouth_suck_dl": -0.5, "mouth_chinRaise_u": -0.5}
WIDTH = {"mouth_lipCornerPull_l": 1.0, "mouth_lipStretch_l": 1.0, "mouth_pucker_l": -1.0, "mouth_oo_c": -1.0,
         "mouth_oh_c": -0.4, "mouth_funnel_dl": -0.4}
JAW = {"mouth_stretch_c": 1.0, "tooth_d_d": 1.0}


def load(folder):
    """-> [(name, held, samples, target [columns, outputs], weight [columns, outputs])]"""
    data = np.load(f"{folder}/blendshapes.npz")
    names = [str(n) for n in data["names"]]
    clips = [k for k in data.files if k != "names"]
    movement = {}
    for clip in clips:
        values = data[clip].astype(np.float32)
        total = lambda table: sum(k * values[:, names.index(n)] for n, k in table.items())
        movement[clip] = np.stack([np.maximum(total(OPENING), 0), total(WIDTH), total(JAW)], 1)
    everything = np.concatenate(list(movement.values()))
    high, low = np.percentile(everything, 96, axis=0), np.percentile(everything, 3, axis=0)
    scale = np.array([0.19 / high[0], 0.1 / -low[1], 0.16 / high[2]])
    found = []
    for clip in clips:
        samples, _ = soundfile.read(f"{folder}/{clip}.flac", dtype="float32")
        columns = 1 + len(samples) // 200
        times, frames = np.arange(columns) / COLUMNS_PER_SECOND, np.arange(len(movement[clip])) / FPS
        moved = np.stack([np.interp(times, frames, scale[k] * movement[clip][:, k]) for k in range(3)], 1)
        target, weight = np.zeros((2, columns, len(NAMES)), np.float32)
        target[:, [0, 1, 5]] = moved
        weight[:, [0, 1, 5]] = 1
        weight[times > frames[-1]] = 0
        found.append((clip, clip in HELD, samples, target, weight))
    return found
