"""Gives the embedded network its tongue: one more output of its last layer, solved for; nothing else of it changes.

    python -m lipnet.tongue --out OUT mouth.onnx

OUT holds what lipnet.prepare made and head_whole.onnx. A network that has the output gets it anew.
"""

import argparse

import numpy as np
import torch

from . import augment, lessons
from .export import calibrate, export, raw
from .landmarks import NAMES
from .mel import mel
from .network import AFTER, BEFORE, MouthNet
from .train import begin

WINDOWS, COLUMNS, RIDGE = 500, 192, 1e-3
TONGUE = NAMES.index("tongue")


@torch.no_grad()
def solve(net, utterances):
    rng = np.random.default_rng(1)
    inner, cross = 0, 0
    for k in range(WINDOWS):
        length = BEFORE + COLUMNS + AFTER
        if k % 8 == 0:
            x, target = augment.voiceless(length, rng), np.zeros((length, len(NAMES)), np.float32)
        else:
            x, target, _, _ = augment.window(utterances[rng.integers(len(utterances))], length, rng)
            x = augment.degrade(x, rng)
        h = net.features(torch.from_numpy(mel(x)[:length].T[None]))[0].double().numpy()
        h = np.concatenate([h, np.ones((1, h.shape[1]))])
        inner = inner + h @ h.T
        cross = cross + h @ target[BEFORE : BEFORE + COLUMNS, TONGUE]
    regular = RIDGE * np.trace(inner) / len(inner) * np.eye(len(inner))
    regular[-1, -1] = 0
    solved = np.linalg.solve(inner + regular, cross)
    net.movement.weight[TONGUE, :, 0] = torch.from_numpy(solved[:-1]).float()
    net.movement.bias[TONGUE] = float(solved[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("onnx")
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = MouthNet().eval()
    begin(net, args.onnx)
    utterances = lessons.pieces(args.out, f"{args.out}/head_whole.onnx")
    solve(net, utterances)
    known = [u for u in utterances if u.source == "grid"][::4]
    said = np.concatenate([raw(net, u.samples)[:, : len(u.target)] for u in known], 1)
    true = np.concatenate([u.target.T for u in known], 1)
    print(f"tongue: r {np.corrcoef(said[TONGUE], true[TONGUE])[0, 1]:.3f}")
    gain, offset = calibrate(said, true)
    # What the others say is calibrated already.
    gain[:TONGUE], offset[:TONGUE] = 1, 0
    export(net, gain, offset, args.onnx)


if __name__ == "__main__":
    main()
