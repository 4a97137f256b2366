"""What it gains to fit a model to a person: their own half of a clip, with its sound, tells how far they open and round.

    python -m lipnet.person TALKERS.npz NAME=MODEL ...

Each clip is halved: one half fits, the other measures, and the other way round. The figures are the mean distance
between what is said and what the lips did, in eye distances, with the model's own range and with the fitted one.
"""

import sys

import numpy as np

from .free import GRID
from .models import at_frames, best_lag, load

# How many seconds of a person's speech count as much as what is believed of all people.
BELIEF = 2.0


def spread(values):
    low, high = np.percentile(values, [10, 95])
    return high - low


def gain(said, true, seconds, limits=(0.4, 2.5)):
    """By what a person's opening or width is more or less than what is said: the ratio of the ranges, on a scale of logs drawn
    towards one while little of the person is known."""
    ratio = np.clip(spread(true) / max(spread(said), 1e-3), *limits)
    return float(np.exp(np.log(ratio) * seconds / (seconds + BELIEF)))


def rested(values, said):
    """Measured movement from its rest: where what is said is least."""
    return values - np.median(values[said <= np.percentile(said, 25)])


def halves(count):
    return (slice(0, count // 2), slice(count // 2, count)), (slice(count // 2, count), slice(0, count // 2))


def report(model, talkers):
    rows = []
    for clip in sorted(n for n in talkers.files if GRID.match(n) and not n.endswith(".sound")):
        measured = talkers[clip]
        said = model(talkers[f"{clip}.sound"])
        for k, row in ((0, 1), (1, 3)):
            true, what = measured[row], at_frames(said[:, k], measured.shape[1])
            lag = best_lag(what, true)[1] if k == 0 else 0
            what = np.roll(what, lag)
            opening = at_frames(said[:, 0], measured.shape[1])
            true = rested(true, opening) if k else np.maximum(true - np.percentile(true, 8), 0)
            for fit, rest in halves(len(true)):
                g = gain(what[fit], true[fit], (fit.stop - fit.start) / 25)
                rows.append((k, g, np.abs(what[rest] - true[rest]).mean(), np.abs(g * what[rest] - true[rest]).mean(),
                             spread(what[rest]) / spread(true[rest]), g * spread(what[rest]) / spread(true[rest])))
    found = {}
    for k, name in ((0, "opening"), (1, "width")):
        part = np.array([row[1:] for row in rows if row[0] == k])
        ranges = np.exp(np.abs(np.log(part[:, 3:5])).mean(0))
        found[f"{name}: distance, own range"] = f"{part[:, 1].mean():.4f}"
        found[f"{name}: distance, fitted"] = f"{part[:, 2].mean():.4f}"
        found[f"{name}: range off by a factor of, own / fitted"] = f"{ranges[0]:.2f} / {ranges[1]:.2f}"
        found[f"{name}: gains"] = f"{part[:, 0].min():.2f} to {part[:, 0].max():.2f}"
    return found


def main():
    talkers = np.load(sys.argv[1])
    tables = {name: report(load(spec), talkers) for name, spec in (arg.split("=", 1) for arg in sys.argv[2:])}
    print("| | " + " | ".join(tables) + " |\n|---|" + "---|" * len(tables))
    for what in next(iter(tables.values())):
        print(f"| {what} | " + " | ".join(t[what] for t in tables.values()) + " |")


if __name__ == "__main__":
    main()
