"""How a model follows people that it never heard: the correlation with their own lips at the best lag within 5 frames.

    python -m lipnet.free TALKERS.npz NAME=MODEL ...

TALKERS.npz is what lipnet.talkers measured, MODEL as lipnet.models takes it. Clips whose names are GRID's count as GRID
people, the others as free speech. A clip with a silent sound says nothing, and is left out.
"""

import re
import sys

import numpy as np

from .align import Aligner, grid_words
from .front import ROWS_PER_SECOND
from .models import at_frames, best_lag, closures, drawn, load

FPS = 25
GRID = re.compile(r"(s\d+_train_)?[blps][bgrw][abiw][a-z][z1-9][anps]$|pato_")
SILENT = 1e-3


def judge(said, measured):
    """-> r and lag of opening by the mesh, by dlib, of width by the mesh, by dlib."""
    return np.array([best_lag(at_frames(said[:, k], measured.shape[1]), measured[row]) for row, k in enumerate((0, 0, 1, 1))])


def closed(said, talkers):
    """said: clip -> [rows, outputs] -> at how many of the p, b and m of the clips whose names tell the words the lips are drawn
    closed, of how many."""
    aligner, found = Aligner(), []
    span = np.percentile(np.concatenate([values[:, 0] for values in said.values()]), 95)
    for clip, values in said.items():
        if GRID.match(clip) and not clip.startswith("pato"):
            phones = aligner.phones(talkers[f"{clip}.sound"], grid_words(clip[-6:]))
            found.append(closures(drawn(values), [(a, b) for p, a, b in phones if p in "pbm"], span, ROWS_PER_SECOND))
    return np.sum(found, 0)


def clips_of(talkers):
    return sorted(n for n in talkers.files if not n.endswith(".sound") and talkers[f"{n}.sound"].std() > SILENT)


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
    clips, results, shut = clips_of(talkers), {}, {}
    for name, spec in (arg.split("=", 1) for arg in sys.argv[2:]):
        model = load(spec)
        said = {clip: model(talkers[f"{clip}.sound"]) for clip in clips}
        results[name] = {clip: judge(said[clip], talkers[clip]) for clip in clips}
        shut[name] = closed(said, talkers)
    print("| | " + " | ".join(results) + " |\n|---|" + "---|" * len(results))
    text = lambda v: f"{v[0, 0]:.2f} / {v[1, 0]:.2f} ({v[1, 1]:+.0f}); {v[2, 0]:.2f} / {v[3, 0]:.2f}"
    for clip in clips:
        print(f"| {clip} | " + " | ".join(text(clips[clip]) for clips in results.values()) + " |")
    sums = {name: summary(clips) for name, clips in results.items()}
    for kind in next(iter(sums.values())):
        for what, (a, b) in (("opening", (0, 1)), ("width", (2, 3))):
            cells = (f"{s[kind][0][a]:.3f} / {s[kind][0][b]:.3f}" for s in sums.values())
            print(f"| {kind}: {what}, mesh / dlib | " + " | ".join(cells) + " |")
    print("| p b m drawn closed | " + " | ".join(f"{a} of {b}" for a, b in shut.values()) + " |")


if __name__ == "__main__":
    main()
