"""What the heads learn from: tapes of every kind of sound and the front end's features of them.

    python -m lipnet.prepare --data DATA --speech SPEECH --front FRONT.onnx --out OUT

Writes OUT/tape_KIND.npz, features_stream_KIND.npz and features_whole_KIND.npz; what is there stays.
"""

import argparse
import os
import zlib

import numpy as np

from . import dataset, tapes
from .features import pieces
from .front import Front, LOOKS

# Kinds of sound, and how many minutes of each at most; of the stream's windows only every fifth.
MINUTES = {"grid": 45, "grid-varied": 60, "synth": 35, "joe": 20, "joe-varied": 10, "facegood": 12, "none": 10}
EVERY = {"stream": 5, "whole": 1}


def utterances_of(kind, everything):
    source = kind.split("-")[0]
    wanted = {"joe": lambda u: u.voice == "piper-joe", "synth": lambda u: u.source == "synth" and u.voice != "piper-joe"}
    return [u for u in everything if not u.held and wanted.get(source, lambda u: u.source == source)(u)]


def tape(kind, everything):
    # Not hash(), which is another one in every process.
    rng = np.random.default_rng(zlib.crc32(kind.encode()))
    if kind == "none":
        return tapes.voiceless(60 * MINUTES[kind], rng)
    pool = utterances_of(kind, everything)
    if not pool:
        raise SystemExit(f"there is no speech of the kind {kind}")
    # Short pieces of long utterances, so that a kind's minutes are of many voices.
    taken, left = [], 60 * MINUTES[kind]
    while left > 0:
        for i in rng.permutation(len(pool)):
            taken.append(pool[i])
            left -= len(pool[i].samples) / 16000
            if left <= 0:
                break
        if not kind.endswith("-varied"):
            break
    return (tapes.varied if kind.endswith("-varied") else tapes.recorded)(taken, rng)


def main():
    parser = argparse.ArgumentParser()
    for name in ("data", "speech", "front", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--kinds", nargs="*", default=MINUTES)
    args = parser.parse_args()
    everything, _ = dataset.build(args.data, args.speech, args.out)
    everything += dataset.performer(f"{args.data}/facegood")
    front = Front(args.front)
    for kind in args.kinds:
        made = f"{args.out}/tape_{kind}.npz"
        if not os.path.exists(made):
            one = tape(kind, everything)
            save(made, samples=(one.samples * 32767).round().astype(np.int16), target=one.target, weight=one.weight, label=one.label)
        samples = np.load(made)["samples"].astype(np.float32) / 32768
        for look in (LOOKS["whole"], LOOKS["stream"]):
            path = f"{args.out}/features_{look.name}_{kind}.npz"
            if not os.path.exists(path):
                start, features = pieces(front, samples, look, EVERY[look.name], zlib.crc32(f"{look.name} {kind}".encode()))
                save(path, start=start, features=features)
        print(f"{kind}: {len(samples) / 16000 / 60:.1f} minutes", flush=True)


def save(path, **arrays):
    # A run that was interrupted leaves no half of it.
    np.savez(path + ".part.npz", **arrays)
    os.replace(path + ".part.npz", path)


if __name__ == "__main__":
    main()
