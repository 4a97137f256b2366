"""Prints how good models are, on speech that they were not trained on.

    python -m lipnet.evaluate NAME=MODEL ... --data DATA --speech SPEECH --out OUT

MODEL is as lipnet.models takes it. How people that were never heard are followed is what lipnet.free prints.
"""

import argparse

import numpy as np

from . import augment, dataset
from .front import ROWS_PER_SECOND
from .landmarks import NAMES
from .mel import COLUMNS_PER_SECOND
from .models import closures, correlation, load


def on_columns(model):
    """What a model says, at the rate of the targets."""

    def say(samples):
        said = model(samples)
        at = np.arange(1 + len(samples) // 200) / COLUMNS_PER_SECOND * ROWS_PER_SECOND
        return np.stack([np.interp(at, np.arange(len(said)), column) for column in said.T], 1)

    return say


def report(model, utterances):
    rows = []
    add = lambda what, value: rows.append((what, value))
    said = {id(u): model(u.samples)[: len(u.target)] for u in utterances}
    grid = [u for u in utterances if u.source == "grid"]
    span = np.percentile(np.concatenate([said[id(u)][:, 0] for u in grid]), 95)
    add("range: 95th percentile of the opening", f"{span:.3f}")

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
        closed = np.sum([closures(said[id(u)][:, 0], [s[1:] for s in u.shapes if s[0] == "p"], span, COLUMNS_PER_SECOND) for u in pool], 0)
        if closed[1]:
            add(f"{kind}: p b m closed", f"{100 * closed[0] / closed[1]:.1f} % of {closed[1]}")

    quiet = []
    for u in grid:
        away = dataset.quiet_weight(u.shapes, np.arange(len(u.target)) / COLUMNS_PER_SECOND) >= 1
        quiet.append(said[id(u)][away, 0])
    add("opening between utterances", f"{100 * np.concatenate(quiet).mean() / span:.1f} %")
    rng = np.random.default_rng(5)
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
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL")
    for name in ("data", "speech", "out"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    utterances, _ = dataset.build(args.data, args.speech, args.out)
    utterances = [u for u in utterances + dataset.performer(f"{args.data}/facegood") if u.held]
    models = dict(one.split("=", 1) for one in args.models)
    tables = {name: dict(report(on_columns(load(spec)), utterances)) for name, spec in models.items()}
    print("| | " + " | ".join(tables) + " |\n|---|" + "---|" * len(tables))
    for what in dict.fromkeys(what for table in tables.values() for what in table):
        print(f"| {what} | " + " | ".join(table.get(what, "") for table in tables.values()) + " |")


if __name__ == "__main__":
    main()
