"""What the student is taught: the tapes in pieces, their targets mixed with what the head for the whole of the sound hears."""

import os

import numpy as np

from .dataset import Utterance
from .features import BACK
from .front import FEATURES, ROWS_PER_SECOND, WHOLE
from .landmarks import NAMES
from .mel import COLUMNS_PER_SECOND, RATE
from .models import session

KINDS = {"grid": "grid", "synth": "synth", "joe": "synth", "facegood": "facegood"}
# How much of the target is what the teacher says: opening, width, tuck, press, raise, jaw, tongue.
TAUGHT = np.float32([0.5, 0.6, 0.3, 0.3, 0.3, 0.5, 0.3])


def pieces(out, head):
    """OUT, where lipnet.prepare was, and the head -> utterances of 6 s."""
    teacher, found = session(head), []
    for kind, source in KINDS.items():
        if not os.path.exists(f"{out}/features_whole_{kind}.npz"):
            continue
        with np.load(f"{out}/features_whole_{kind}.npz") as file:
            start, features = file["start"], file["features"]
        with np.load(f"{out}/tape_{kind}.npz") as file:
            tape = dict(file)
        for first, seen in zip(start, features):
            # The head looks at no more of the window than what is kept of it.
            window = np.zeros((1, WHOLE.rows, FEATURES), np.float32)
            window[0, WHOLE.before - BACK :][: len(seen)] = seen
            span = slice(first, first + WHOLE.step)
            if len(tape["target"]) >= span.stop:
                said = teacher.run(None, {"features": window})[0][0].T
                samples = tape["samples"][first * RATE // ROWS_PER_SECOND : span.stop * RATE // ROWS_PER_SECOND]
                found.append(_piece(source, kind, samples, said, *(tape[k][span] for k in ("target", "weight", "label"))))
    return found


def _piece(source, kind, samples, said, target, weight, label):
    # What is not known is all the teacher's.
    share = np.where(weight > 0, TAUGHT, 1)
    mixed = (1 - share) * target + share * said
    columns = len(samples) * COLUMNS_PER_SECOND // RATE
    at = (np.arange(columns) / COLUMNS_PER_SECOND * ROWS_PER_SECOND).clip(0, len(target) - 1)
    mixed = np.stack([np.interp(at, np.arange(len(target)), column) for column in mixed.T], 1).astype(np.float32)
    return Utterance(source, kind, False, samples.astype(np.float32) / 32768, mixed, np.ones((columns, len(NAMES)), np.float32),
                     label[at.astype(int)], np.zeros(columns, np.float32), [])
