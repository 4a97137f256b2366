"""Long runs of sound for the heads: utterances one after another with pauses, as they were recorded and as the world
sends them, with the movement that belongs to them, a row every 20 ms."""

from dataclasses import dataclass

import numpy as np

from . import augment
from .front import HOP, NOISE, ROWS_PER_SECOND
from .landmarks import NAMES
from .mel import COLUMNS_PER_SECOND
from .phones import NUMBER

ROW = 2 * HOP


@dataclass
class Tape:
    samples: np.ndarray
    target: np.ndarray  # [rows, outputs]
    weight: np.ndarray  # [rows, outputs]
    label: np.ndarray  # [rows] shape numbers, -1 unknown


class Writer:
    def __init__(self):
        self.parts = []

    def add(self, samples, target, weight, label):
        rows = len(samples) // ROW
        at = np.arange(rows) * COLUMNS_PER_SECOND / ROWS_PER_SECOND
        low = np.minimum(at.astype(int), len(target) - 1)
        high, t = np.minimum(low + 1, len(target) - 1), (at - low).clip(0, 1)[:, None].astype(np.float32)
        blend = target[low] * (1 - t) + target[high] * t
        self.parts.append((samples[: rows * ROW], blend, np.minimum(weight[low], weight[high]), label[low]))

    def pause(self, seconds, rng):
        rows = int(seconds * ROWS_PER_SECOND)
        closed = np.zeros((rows, len(NAMES)), np.float32)
        level = NOISE * 10 ** rng.uniform(0, 1) if rng.random() < 0.5 else 0
        noise = level * rng.standard_normal(rows * ROW)
        self.parts.append((noise, closed, np.ones_like(closed), np.full(rows, NUMBER["sil"])))

    def tape(self):
        samples, target, weight, label = (np.concatenate(part) for part in zip(*self.parts))
        return Tape(samples.astype(np.float32), target.astype(np.float32), weight.astype(np.float32), label)


def recorded(utterances, rng):
    """As they were recorded, but for the level."""
    writer = Writer()
    for u in utterances:
        writer.add(u.samples * augment.decibel(rng.uniform(-6, 3)), u.target, u.weight, u.label)
        if rng.random() < 0.6:
            writer.pause(rng.uniform(0.1, 1.2), rng)
    return writer.tape()


def varied(utterances, rng):
    """Other voices, rooms, noises, levels, bands; some whispered, some with another voice behind."""
    writer = Writer()
    for u in utterances:
        samples, target, weight, label = augment.window(u, int(0.85 * len(u.target)), rng)
        if rng.random() < 0.12:
            samples = augment.whispered(samples, rng)
        if rng.random() < 0.12:
            other = utterances[rng.integers(len(utterances))].samples
            other = np.resize(other, len(samples)) * augment.level(samples) / augment.level(other)
            samples = samples + augment.decibel(-rng.uniform(8, 20)) * other
        writer.add(augment.degrade(samples, rng), target, weight, label)
    return writer.tape()


def voiceless(seconds, rng):
    """No voice: nothing, noise, music, breath, clicks of lips. The mouth stays closed."""
    writer = Writer()
    while seconds > 0:
        columns = int(rng.uniform(1.5, 6) * COLUMNS_PER_SECOND)
        x = augment.breath(columns, rng) if rng.random() < 0.25 else augment.voiceless(columns, rng)
        closed = np.zeros((columns, len(NAMES)), np.float32)
        writer.add(x, closed, np.ones_like(closed), np.full(columns, NUMBER["sil"]))
        seconds -= columns / COLUMNS_PER_SECOND
    return writer.tape()
