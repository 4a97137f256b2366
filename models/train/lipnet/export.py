"""net.pt -> mouth.onnx, calibrated.

    python -m lipnet.export --out OUT mouth.onnx

A network that learns by squared error hedges: its peaks are low, and its closed mouth is a little open. So each
output is stretched and moved, by what it says of the training speech, and what would be below zero is zero.
"""

import argparse

import numpy as np
import torch
from torch import nn

from . import lessons
from .landmarks import NAMES
from .mel import BANDS, FLOOR, mel
from .network import AFTER, BEFORE, BLOCK, MouthNet


class Calibrated(nn.Module):
    """What is shipped: the movement alone; all of it but the width is never negative."""

    def __init__(self, net, gain, offset):
        super().__init__()
        self.net = net
        with torch.no_grad():
            net.movement.weight *= torch.tensor(gain).view(-1, 1, 1)
            net.movement.bias.copy_(net.movement.bias * torch.tensor(gain) + torch.tensor(offset))

    def forward(self, mel):
        y = self.net.movement(self.net.features(mel))
        opening, width, rest = y[:, :1], y[:, 1:2], y[:, 2:]
        return torch.cat([torch.relu(opening), width, torch.relu(rest)], 1)


@torch.no_grad()
def raw(net, samples):
    m = np.pad(mel(samples), ((BEFORE, AFTER), (0, 0)), constant_values=FLOOR)
    return net.movement(net.features(torch.from_numpy(m.T[None])))[0].numpy()


def calibrate(said, true):
    """What is said and what is true, [outputs, rows] each -> gain, offset of each output."""
    closed, rest = true[3] > 0.85, (true[0] < 2e-3) & (true[3] < 0.05)
    gain, offset = np.ones(len(NAMES), np.float32), np.zeros(len(NAMES), np.float32)
    # The lips touch where two in three bilabials say so, and an open vowel is as open as it was.
    zero = np.percentile(said[0, closed], 66)
    gain[0] = np.percentile(true[0], 95) / (np.percentile(said[0], 95) - zero)
    offset[0] = -gain[0] * zero
    # The width is known less well: half of what is missing.
    gain[1] = (true[1].std() / said[1].std()) ** 0.5
    offset[1] = -gain[1] * np.median(said[1, rest])
    for k in range(2, len(NAMES)):
        zero = np.percentile(said[k, rest], 75)
        # Of what is seldom, as a tucked lip, a lower percentile would be zero.
        rare = 99.3 if k == 2 else 97
        gain[k] = min(2.0, np.percentile(true[k], rare) / (np.percentile(said[k], rare) - zero))
        offset[k] = -gain[k] * zero
    return gain, offset


def calibration(net, utterances):
    said = np.concatenate([raw(net, u.samples)[:, : len(u.target)] for u in utterances], 1)
    return calibrate(said, np.concatenate([u.target.T for u in utterances], 1))


def export(net, gain, offset, path):
    shipped = Calibrated(net, gain, offset).eval()
    example = torch.randn(1, BANDS, BEFORE + BLOCK + AFTER)
    torch.onnx.export(
        shipped, (example,), path, input_names=["mel"], output_names=["mouth"], opset_version=17,
        dynamic_axes={"mel": {2: "columns"}, "mouth": {2: "spoken_of"}},
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("onnx")
    args = parser.parse_args()
    net = MouthNet().eval()
    net.load_state_dict(torch.load(f"{args.out}/net.pt", weights_only=True))
    known = [u for u in lessons.pieces(args.out, f"{args.out}/head_whole.onnx") if u.source == "grid"][::4]
    gain, offset = calibration(net, known)
    for name, g, o in zip(NAMES, gain, offset):
        print(f"{name}: x {g:.3f} {o:+.4f}")
    export(net, gain, offset, args.onnx)


if __name__ == "__main__":
    main()
