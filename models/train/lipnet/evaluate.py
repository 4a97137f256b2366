"""Prints how good a model is, on speech that it was not trained on.

    python -m lipnet.evaluate mouth.onnx --data DATA --speech SPEECH --out OUT [--talkers TALKERS.npz]

TALKERS.npz is what lipnet.talkers measured. A model that pads (as long an output as its input) is judged just as well.
"""

import argparse

import numpy as np
import onnxruntime

from . import augment, dataset
from .align import Aligner, grid_words
from .landmarks import NAMES
from .mel import COLUMNS_PER_SECOND, FLOOR, HOP, RATE, mel
from .network import AFTER, BEFORE

FPS = 25


class Model:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options)

    def __call__(self, samples):
        """-> [columns, outputs]"""
        m = np.pad(mel(samples), ((BEFORE, AFTER), (0, 0)), constant_values=FLOOR)
        y = self.session.run(["mouth"], {"mel": m.T[None]})[0][0].T
        return y[BEFORE : len(y) - AFTER] if len(y) == len(m) else y


def correlation(a, b):
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-6 and b.std() > 1e-6 else float("nan")


def at_frames(values, count, fps=FPS):
    """Columns -> the value at each frame's time."""
    return np.interp(np.arange(count) / fps, np.arange(len(values)) / COLUMNS_PER_SECOND, values)


def best_lag(said, true, reach=5):
    """-> correlation, lag in frames: positive if the picture is later than the model."""
    found = []
    for lag in range(-reach, reach + 1):
        a, b = (said[: len(said) - lag], true[lag:]) if lag >= 0 else (said[-lag:], true[:lag])
        found.append((correlation(a, b), lag))
    return max(found)


def closures(opening, bilabials, span):
    """How many of these phones reach less than 15 % of the range within 40 ms of their middle, of how many."""
    times = np.arange(len(opening)) / COLUMNS_PER_SECOND
    closed = 0
    for start, end in bilabials:
        near = opening[np.abs(times - (start + end) / 2) <= 0.04]
        closed += len(near) > 0 and near.min() < 0.15 * span
    return closed, len(bilabials)


def report(model, utterances, talkers):
    rows = []
    add = lambda what, value: rows.append((what, value))
    said = {id(u): model(u.samples)[: len(u.target)] for u in utterances}
    grid = [u for u in utterances if u.source == "grid"]
    span = np.percentile(np.concatenate([said[id(u)][:, 0] for u in grid]), 95)
    add("range: 95th percentile of the opening", f"{span:.3f}")

    if talkers is not None:
        aligner = Aligner()
        names = sorted(n for n in talkers.files if not n.endswith(".sound"))
        results, closed, count = [], 0, 0
        for name in names:
            sound, (mesh, judge, mesh_width, judge_width) = talkers[f"{name}.sound"], talkers[name]
            y = model(sound)
            opening, width = (at_frames(y[:, k], len(mesh)) for k in (0, 1))
            results.append([*best_lag(opening, mesh), *best_lag(opening, judge), correlation(width, mesh_width),
                            correlation(width, judge_width)])
            phones = aligner.phones(sound, grid_words(name))
            c, n = closures(y[:, 0], [(a, b) for p, a, b in phones if p in "pbm"], span)
            closed, count = closed + c, count + n
            r = results[-1]
            add(f"talker {name}: opening, mesh / dlib (lag)", f"{r[0]:.2f} ({r[1]:+d}) / {r[2]:.2f} ({r[3]:+d})")
        mean = np.mean(results, 0)
        add("talkers: opening, mesh / dlib", f"{mean[0]:.3f} / {mean[2]:.3f}")
        add("talkers: width at lag 0, mesh / dlib", f"{mean[4]:.2f} / {mean[5]:.2f}")
        add("talkers: p b m closed", f"{closed} of {count}")

    for source, kind in (("grid", "GRID speaker, held out"), ("synth", "voice held out"), ("facegood", "Mandarin, held out")):
        pool = [u for u in utterances if u.source == source]
        if not pool:
            continue
        y, t = (np.concatenate(parts) for parts in ([said[id(u)] for u in pool], [u.target for u in pool]))
        for k, name in enumerate(NAMES[: y.shape[1]]):
            if t[:, k].std() > 1e-6:
                add(f"{kind}: {name}", f"{correlation(y[:, k], t[:, k]):.3f}")
        high = np.percentile(y[:, 0], 95) / np.percentile(t[:, 0], 95)
        add(f"{kind}: 95th percentile, said / true", f"{high:.2f}")
        closed = np.sum([closures(said[id(u)][:, 0], [s[1:] for s in u.shapes if s[0] == "p"], span) for u in pool], 0)
        if closed[1]:
            add(f"{kind}: p b m closed", f"{100 * closed[0] / closed[1]:.1f} % of {closed[1]}")

    quiet = []
    for u in grid:
        away = dataset.quiet_weight(u.shapes, np.arange(len(u.target)) / COLUMNS_PER_SECOND) >= 1
        quiet.append(said[id(u)][away, 0])
    add("opening between utterances", f"{100 * np.concatenate(quiet).mean() / span:.1f} %")
    rng, count = np.random.default_rng(5), 10 * RATE
    silence = {"digital silence": np.zeros(count, np.float32)}
    for db in (-60, -45, -35):
        silence[f"noise at {db} dB"] = augment.decibel(db) * augment.noise(count, rng)
    for db in (-45, -30):
        silence[f"music at {db} dB"] = augment.decibel(db) * augment.music(count, rng)
    for what, x in silence.items():
        y = model(np.clip(x, -1, 1).astype(np.float32))[:, 0]
        add(f"{what}: mean opening (largest)", f"{100 * y.mean() / span:.1f} % ({100 * y.max() / span:.0f} %)")
    for db in (-30, 6):
        pool = grid[:40]
        y = [model(np.clip(u.samples * augment.decibel(db), -1, 1)) for u in pool]
        a = np.concatenate([v[: len(u.target), 0] for v, u in zip(y, pool)])
        add(f"GRID speaker at {db:+d} dB: opening", f"{correlation(a, np.concatenate([u.target[:, 0] for u in pool])):.3f}")
    rows_of_noise = []
    for u in grid[:40]:
        x = u.samples + augment.level(u.samples) * augment.decibel(-10) * augment.noise(len(u.samples), rng)
        rows_of_noise.append(model(x.astype(np.float32))[: len(u.target), 0])
    a = np.concatenate(rows_of_noise)
    add("GRID speaker in noise, 10 dB: opening", f"{correlation(a, np.concatenate([u.target[:, 0] for u in grid[:40]])):.3f}")
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("onnx", nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("--speech", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--talkers")
    args = parser.parse_args()
    utterances, _ = dataset.build(args.data, args.speech, args.out)
    utterances = [u for u in utterances + dataset.performer(f"{args.data}/facegood") if u.held]
    talkers = np.load(args.talkers) if args.talkers else None
    tables = [dict(report(Model(path), utterances, talkers)) for path in args.onnx]
    print("| | " + " | ".join(args.onnx) + " |")
    print("|---|" + "---|" * len(tables))
    for what in dict.fromkeys(what for table in tables for what in table):
        print(f"| {what} | " + " | ".join(table.get(what, "") for table in tables) + " |")


if __name__ == "__main__":
    main()
