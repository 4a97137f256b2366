"""How a model follows other ways of speaking, other languages, and what is no speech.

    python -m lipnet.styles TALKERS.npz NAME=MODEL ... (as for lipnet.free)

Ways of speaking are made of the sound of the people in TALKERS.npz whose names are GRID's, and held against their own lips.
Languages are spoken by espeak-ng and held against what the table of phones says; so that figure compares
models, and languages, and says nothing of people.
"""

import json
import glob
import random
import sys
import tempfile

import numpy as np
import soundfile
from scipy.signal import lfilter, resample

from . import augment, coarticulation
from .free import FPS, GRID
from .front import ROWS_PER_SECOND
from .mel import COLUMNS_PER_SECOND, RATE
from .models import best_lag, correlation, load
from .phones import shapes
from .synth import ESPEAK, Espeak, Texts

LANGUAGES = {"de": "German", "es": "Spanish", "it": "Italian", "fr": "French", "pt": "Portuguese", "pl": "Polish", "cs": "Czech",
             "ru": "Russian", "cmn": "Mandarin", "hi": "Hindi", "tr": "Turkish", "sv": "Swedish", "nl": "Dutch", "ja": "Japanese"}


def band(x, low, high):
    spectrum = np.fft.rfft(x)
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    return np.fft.irfft(spectrum * ((hz > low) & (hz < high)), len(x))


def room(x, rng):
    length = int(0.6 * RATE)
    tail = rng.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    tail = np.concatenate([[1], 0.7 * tail / np.sqrt((tail**2).sum())])
    return np.convolve(x, tail)[: len(x)]


def shouted(x):
    """More of the high, pressed against the limit."""
    y = lfilter([1, -0.9], [1], x)
    return np.clip(4 * y / np.abs(y).max(), -1, 1)


def ways(rng, others):
    """name -> (sound -> sound, speed)"""
    mix = lambda x, y, db: x + augment.decibel(db) * augment.level(x) * y / augment.level(y)
    faster = lambda factor: lambda x: resample(x, int(len(x) / factor))
    return {
        "as recorded": (lambda x: x, 1),
        "-25 dB": (lambda x: augment.decibel(-25) * x, 1),
        "telephone band": (lambda x: band(x, 300, 3400), 1),
        "a room, 0.6 s": (lambda x: room(x, rng), 1),
        "noise, 10 dB below": (lambda x: mix(x, augment.noise(len(x), rng), -10), 1),
        "music, 10 dB below": (lambda x: mix(x, augment.music(len(x), rng), -10), 1),
        "a second voice, 10 dB below": (lambda x: mix(x, np.resize(others, len(x)), -10), 1),
        "whispered": (lambda x: augment.whispered(x, rng), 1),
        "shouted": (shouted, 1),
        "a quarter faster and higher (a child)": (faster(1.25), 1.25),
        "a fifth slower and lower": (faster(0.8), 0.8),
    }


def voiceless(rng):
    count = 10 * RATE
    columns = count // 200
    found = {"digital silence": np.zeros(count, np.float32)}
    for db in (-60, -45, -35):
        found[f"noise, {db} dB"] = augment.decibel(db) * augment.noise(count, rng)
    for db in (-45, -30, -20):
        found[f"music, {db} dB"] = augment.decibel(db) * augment.music(count, rng)
    found["breath and clicks of lips"] = np.concatenate([augment.breath(columns // 4, rng) for _ in range(4)])
    return found


def reversals(opening, rate=ROWS_PER_SECOND, least=0.03):
    """How often in a second the mouth turns round, by at least so much."""
    turns, far, up = 0, opening[0], True
    for value in opening:
        if up and value < far - least or not up and value > far + least:
            turns, up, far = turns + 1, not up, value
        else:
            far = max(far, value) if up else min(far, value)
    return turns * rate / len(opening)


def languages(folder):
    """-> language -> [(sound, opening by the table, width by the table)]"""
    rng = random.Random(3)
    espeak, texts, found = Espeak(), Texts(rng), {}
    voices = {tag: (voice, text) for tag, voice, text in ESPEAK}
    for tag, language in {"us": "English", **LANGUAGES}.items():
        voice, text = voices[tag]
        # Another variant of the voice than the one that was trained on.
        espeak.say(folder, tag, voice.split("+")[0] + "+m4", texts.take(4, text), rng)
        for path in sorted(glob.glob(f"{folder}/espeak-{tag}_*.wav")):
            x, rate = soundfile.read(path, dtype="float32")
            x = resample(x, int(len(x) * RATE / rate)).astype(np.float32)
            spoken = shapes(f"espeak-{tag}", json.load(open(path[:-4] + ".json")))
            columns = 1 + len(x) // 200
            found.setdefault(language, []).append((x, coarticulation.opening(spoken, columns), coarticulation.width(spoken, columns)))
    return found


def report(model, talkers, spoken):
    rows, rng = {}, np.random.default_rng(4)
    clips = sorted(n for n in talkers.files if GRID.match(n) and not n.endswith(".sound"))
    for way, (change, speed) in ways(rng, talkers[f"{clips[0]}.sound"]).items():
        r = []
        for clip in clips[1:]:
            measured = talkers[clip]
            x = change(talkers[f"{clip}.sound"]).astype(np.float32)
            said = model(np.clip(x, -1, 1))
            at = np.arange(measured.shape[1]) / FPS / speed * ROWS_PER_SECOND
            frames = [np.interp(at, np.arange(len(said)), said[:, k]) for k in (0, 1)]
            r.append([best_lag(frames[0], measured[0])[0], best_lag(frames[0], measured[1])[0]])
        rows[f"{way}: opening, mesh / dlib"] = "%.3f / %.3f" % tuple(np.mean(r, 0))
    for language, utterances in spoken.items():
        r, high, turns = [], [], []
        for x, opening, width in utterances:
            said = model(x)
            at = np.arange(len(said)) * COLUMNS_PER_SECOND / ROWS_PER_SECOND
            r.append([correlation(said[:, k], np.interp(at, np.arange(len(v)), v)) for k, v in enumerate((opening, width))])
            high.append(np.percentile(said[:, 0], 95))
            turns.append(reversals(said[:, 0]))
        rows[f"{language}: opening, width by the table; 95th percentile; turns a second"] = "%.2f, %.2f; %.2f; %.1f" % (
            *np.mean(r, 0), np.mean(high), np.mean(turns))
    for what, x in voiceless(rng).items():
        said = model(np.clip(x, -1, 1).astype(np.float32))[:, 0]
        rows[f"{what}: opening, mean and largest"] = "%.3f, %.3f" % (said.mean(), said.max())
    return rows


def main():
    talkers = np.load(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        spoken = languages(folder)
    tables = {name: report(load(spec), talkers, spoken) for name, spec in (arg.split("=", 1) for arg in sys.argv[2:])}
    print("| | " + " | ".join(tables) + " |\n|---|" + "---|" * len(tables))
    for what in next(iter(tables.values())):
        print(f"| {what} | " + " | ".join(t[what] for t in tables.values()) + " |")


if __name__ == "__main__":
    main()
