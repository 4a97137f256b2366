"""All utterances as samples with movement at the spectrogram's rate."""

import glob
import json
import os
import pickle
from dataclasses import dataclass

import numpy as np
import soundfile
from scipy.signal import resample_poly

from . import coarticulation, facegood, grid
from .mel import COLUMNS_PER_SECOND, RATE
from .phones import NUMBER, shapes

HELD_VOICES = ("flite-rms",)
GRID_HELD = 10  # every tenth utterance
# The GRID speaker opens less than most: an open vowel becomes 0.2.
OPENING, JAW = 1.8, 1.8


@dataclass
class Utterance:
    source: str  # grid, synth or facegood
    voice: str
    held: bool
    samples: np.ndarray
    target: np.ndarray  # [columns, outputs]
    weight: np.ndarray  # [columns, outputs]
    label: np.ndarray  # [columns] shape numbers, -1 unknown
    closed: np.ndarray  # [columns] 1 at bilabials
    shapes: list


def rest_of(measured, phones):
    """What the mouth measures when it rests: from the frames in silence."""
    silent = np.zeros(len(measured), bool)
    for phone, start, end in phones:
        if phone == "sil":
            silent[int(np.ceil(25 * start)) : int(25 * end)] = True
    rest = np.median(measured[silent] if silent.sum() > 5 else measured, 0)
    rest[0] = np.percentile(measured[:, 0], 8)
    return rest


def quiet_weight(shapes, times):
    """1 where speech is more than 0.3 s away, 0 within 0.15 s of it."""
    away = np.full(len(times), 9.0)
    for shape, start, end in shapes:
        if shape != "sil":
            away = np.minimum(away, np.maximum(0, np.maximum(start - times, times - end)))
    return np.clip((away - 0.15) / 0.15, 0, 1).astype(np.float32)


def build(data, speech, cache):
    """-> (utterances, fitted coarticulation). `data` holds grid_s1, `speech` what lipnet.synth made."""
    if os.path.exists(f"{cache}/dataset.pickle"):
        return pickle.load(open(f"{cache}/dataset.pickle", "rb"))
    measured = []
    for i, (name, samples, values, phones) in enumerate(grid.load(f"{data}/grid_s1", f"{cache}/grid_phones.json")):
        moved = values - rest_of(values, phones)
        moved = np.stack([OPENING * np.maximum(moved[:, 0], 0), JAW * moved[:, 2]], 1)
        measured.append((name, samples, moved.astype(np.float32), shapes("grid", phones), i % GRID_HELD == 0))
    known = []
    for _, _, moved, spoken, held in measured:
        if not held:
            quiet = quiet_weight(spoken, np.arange(len(moved)) / 25)
            known.append((spoken, moved * (1 - quiet)[:, None], np.ones(len(moved), np.float32)))
    model = coarticulation.fit(known)
    found = [_measured(*one) for one in measured]
    for path in sorted(glob.glob(f"{speech}/*.json")):
        one = _synthetic(path, model)
        if one:
            found.append(one)
    with open(f"{cache}/dataset.pickle.part", "wb") as file:
        pickle.dump((found, model), file)
    # A run that was interrupted leaves no half of it.
    os.replace(f"{cache}/dataset.pickle.part", f"{cache}/dataset.pickle")
    return found, model


def performer(folder):
    return [
        Utterance("facegood", name, held, samples, target, weight, np.full(len(target), -1), np.zeros(len(target)), [])
        for name, held, samples, target, weight in facegood.load(folder)
    ]


def _assemble(source, voice, held, samples, movement, spoken, closed=None):
    columns = len(movement)
    hand, pressed = coarticulation.by_hand(spoken, columns)
    closed = pressed if closed is None else closed
    quiet = quiet_weight(spoken, np.arange(columns) / COLUMNS_PER_SECOND)
    opening = np.maximum(movement[:, 0], 0) * (1 - closed) * (1 - quiet)
    width = coarticulation.width(spoken, columns)
    target = np.stack([opening, width * (1 - quiet), hand[:, 0], closed, hand[:, 2],
                       np.maximum(movement[:, 1], -0.03) * (1 - quiet), hand[:, 3]], 1).astype(np.float32)
    label = np.zeros(columns, int)
    for shape, start, end in spoken:
        label[round(start * COLUMNS_PER_SECOND) : round(end * COLUMNS_PER_SECOND)] = NUMBER[shape]
    return Utterance(source, voice, held, samples, target, np.ones_like(target), label, closed, spoken)


def _measured(name, samples, moved, spoken, held):
    columns = 1 + len(samples) // 200
    times = np.arange(columns) / COLUMNS_PER_SECOND
    frames = np.arange(len(moved)) / grid.FPS
    movement = np.stack([np.interp(times, frames, moved[:, k]) for k in range(2)], 1)
    # The lips touch where they were seen nearest to each other, not just where the aligner says.
    closed = np.zeros(columns, np.float32)
    for shape, start, end in spoken:
        if shape == "p":
            near = np.flatnonzero((times > start - 0.04) & (times < end + 0.04))
            if len(near):
                middle = times[near[movement[near, 0].argmin()]]
                closed = np.maximum(closed, coarticulation.closure(times, middle, min(end - start, 0.1)))
    return _assemble("grid", "grid-s1", held, samples, movement, spoken, closed)


def _synthetic(path, model):
    phones = json.load(open(path))
    voice = os.path.basename(path).rsplit("_", 1)[0]
    if len(phones) < 5:
        return None
    try:
        samples, rate = soundfile.read(path[:-5] + ".wav", dtype="float32")
    except soundfile.LibsndfileError:
        return None
    if rate != RATE:
        step = np.gcd(rate, RATE)
        samples = resample_poly(samples, RATE // step, rate // step).astype(np.float32)
    samples = samples[: 15 * RATE]
    columns = 1 + len(samples) // 200
    spoken = [s for s in shapes(voice, phones) if s[1] < columns / COLUMNS_PER_SECOND]
    if len(samples) < RATE or len(spoken) < 5:
        return None
    movement = coarticulation.movement(model, spoken, columns)
    movement[:, 0] = (movement[:, 0] + coarticulation.opening(spoken, columns)) / 2
    return _assemble("synth", voice, voice in HELD_VOICES, samples, movement, spoken)
