"""Trains a head.

    python -m lipnet.fit LOOK --out OUT [--without KIND ...] [--steps N] [--linear] [--name head_LOOK.onnx]

OUT holds what lipnet.prepare made and gets OUT/NAME. The mean of its weights over the training is what is kept. With
--linear it is a straight sum that is solved for in a moment, to compare kinds of data with.
"""

import argparse
import copy
import os
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from .export import calibrate
from .features import AHEAD, BACK
from .front import FEATURES, LOOKS
from .heads import DIRECTIONS, Directions, Head, Linear
from .landmarks import NAMES


# How much each kind of sound counts.
SHARES = {"grid": 0.20, "grid-varied": 0.22, "synth": 0.10, "joe": 0.08, "joe-varied": 0.05, "facegood": 0.05, "none": 0.08}
UNIT = np.float32([0.05, 0.025, 0.3, 0.3, 0.15, 0.045, 0.3])
IMPORTANCE = np.float32([1.0, 0.6, 0.25, 0.4, 0.25, 0.5, 0.25])
ROWS = 64  # of a training window, for whole
RIDGE_DIRECTIONS, RIDGE_STRIDE, RIDGE = 64, 2, 0.5
HIGHEST_RATE = 2e-3


@dataclass
class Kind:
    name: str
    features: np.ndarray  # [n, K, DIRECTIONS], float16
    target: np.ndarray  # [n, step, outputs]
    weight: np.ndarray
    label: np.ndarray  # [n, step]


def kinds_of(out, look, without):
    names = [name for name in SHARES if not any(name.split("-")[0] == w or name == w for w in without)]
    return [name for name in names if os.path.exists(f"{out}/features_{look}_{name}.npz")]


def load(out, look, names, directions=None):
    if directions is None:
        samples = []
        for name in names:
            with np.load(f"{out}/features_{look}_{name}.npz") as file:
                features = file["features"]
                samples.append(features[:: max(1, len(features) * features.shape[1] // 6000)][:, ::4])
        directions = Directions(np.concatenate([s.reshape(-1, FEATURES) for s in samples]))
    found, step = [], LOOKS[look].step
    for name in names:
        with np.load(f"{out}/features_{look}_{name}.npz") as file:
            start, features = file["start"], file["features"]
        with np.load(f"{out}/tape_{name}.npz") as file:
            target, weight, label = (file[k] for k in ("target", "weight", "label"))
        near = start[:, None] + np.arange(step)
        inside = near < len(target)
        near = near.clip(0, len(target) - 1)
        brought = np.stack([directions(block).astype(np.float16) for block in features])
        found.append(Kind(name, brought, target[near], weight[near] * inside[..., None], np.where(inside, label[near], -1)))
    return found, directions


def ridge(kinds, look):
    """The linear part alone -> weight [outputs, DIRECTIONS, taps], bias."""
    taps = np.arange(0, BACK + 1 + AHEAD[look], RIDGE_STRIDE)
    size = RIDGE_DIRECTIONS * len(taps) + 1
    rng = np.random.default_rng(0)
    # Tuck and the others are known for some rows only, so each output has its own sums; those with the same weights share.
    groups = ([0, 5], [1], [2, 3, 4, 6])
    inner, cross = np.zeros((len(groups), size, size)), np.zeros((size, len(NAMES)))
    total = sum(SHARES[kind.name] for kind in kinds)
    for kind in kinds:
        step = kind.target.shape[1]
        rows = [(i, r) for i in range(len(kind.features)) for r in range(0, step, 2)]
        rows = np.array(rows)[rng.permutation(len(rows))[:12000]]
        x = kind.features[rows[:, :1], rows[:, 1:] + taps][:, :, :RIDGE_DIRECTIONS].reshape(len(rows), -1).astype(np.float32)
        x = np.concatenate([x, np.ones((len(x), 1), np.float32)], 1)
        y, w = kind.target[rows[:, 0], rows[:, 1]], kind.weight[rows[:, 0], rows[:, 1]]
        share = SHARES[kind.name] / total / len(rows)
        for g, outputs in enumerate(groups):
            inner[g] += share * (x.T * w[:, outputs[0]]) @ x
        cross += share * x.T @ (w * y)
    solved = np.zeros((size, len(NAMES)))
    for g, outputs in enumerate(groups):
        regular = RIDGE * np.eye(size)
        regular[-1, -1] = 0
        solved[:, outputs] = np.linalg.solve(inner[g] + regular, cross[:, outputs])
    weight = np.zeros((len(NAMES), DIRECTIONS, BACK + 1 + AHEAD[look]), np.float32)
    weight[:, :RIDGE_DIRECTIONS, taps] = solved[:-1].T.reshape(len(NAMES), len(taps), RIDGE_DIRECTIONS).transpose(0, 2, 1)
    return weight, solved[-1].astype(np.float32)


def batch(kinds, chances, size, rows, rng):
    """-> features [size, DIRECTIONS, K], target [size, outputs, rows], weight, label"""
    parts = []
    for k, many in enumerate(rng.multinomial(size, chances)):
        kind = kinds[k]
        for i in rng.integers(len(kind.features), size=many):
            first = rng.integers(kind.target.shape[1] - rows + 1)
            span = slice(first, first + rows)
            seen = slice(first, first + rows + kind.features.shape[1] - kind.target.shape[1])
            parts.append((kind.features[i, seen].T, kind.target[i, span].T, kind.weight[i, span].T, kind.label[i, span]))
    return [torch.from_numpy(np.stack(p).astype(np.int64 if k == 3 else np.float32)) for k, p in enumerate(zip(*parts))]


def loss_of(said, shapes, target, weight, label, step=2):
    off = (said - target) / torch.from_numpy(UNIT).view(1, -1, 1)
    importance = torch.from_numpy(IMPORTANCE).view(1, -1, 1)
    # A mouth that should be closed and isn't is what people see first.
    sharp = torch.ones_like(target)
    sharp[:, :1] += 2.0 * target[:, 3:4]
    error = (importance * weight * sharp * off**2).mean()
    moved = off[:, :, step:] - off[:, :, :-step]
    error = error + 0.3 * (importance * weight[:, :, step:] * moved**2).mean()
    return error, nn.functional.cross_entropy(shapes, label, ignore_index=-1)


def train(kinds, look, steps, seed=1, dropout=0.2, decay=0.1, log=print):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Head(look, dropout)
    average = copy.deepcopy(net).eval()
    chances = np.array([SHARES[kind.name] for kind in kinds])
    chances /= chances.sum()
    rows, size = (LOOKS[look].step, 256) if look == "stream" else (ROWS, 32)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, HIGHEST_RATE, total_steps=steps, pct_start=0.1)
    began, seen = time.time(), []
    for step in range(steps):
        x, target, weight, label = batch(kinds, chances, size, rows, rng)
        said, shapes = net(x)
        error, wrong = loss_of(said, shapes, target, weight, label)
        optimiser.zero_grad()
        (error + 0.15 * wrong).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        keep = min(0.995, 1 - 1 / (step + 1))
        with torch.no_grad():
            for a, b in zip(average.state_dict().values(), net.state_dict().values()):
                a.lerp_(b, 1 - keep) if a.is_floating_point() else a.copy_(b)
        seen.append((error.item(), wrong.item()))
        if step % 200 == 199 or step + 1 == steps:
            error, wrong = np.mean(seen[-200:], 0)
            log(f"{step + 1} error {error:.3f} phones {wrong:.3f} {time.time() - began:.0f} s", flush=True)
    return average


@torch.no_grad()
def say(net, kinds):
    """-> what it says of the rows [outputs, n], what is true"""
    said, true = [], []
    for kind in kinds:
        for first in range(0, len(kind.features), 256):
            x = torch.from_numpy(kind.features[first : first + 256].astype(np.float32).transpose(0, 2, 1))
            said.append(net(x)[0].transpose(1, 2).reshape(-1, len(NAMES)).numpy().T)
        true.append(kind.target.reshape(-1, len(NAMES)).T)
    return np.concatenate(said, 1), np.concatenate(true, 1)


class Calibrated(nn.Module):
    """Features of a window [1, rows, 384] -> mouth [1, outputs, step]; all of it but the width is never negative, and what is a
    share is never more than one."""

    def __init__(self, look, directions, net, gain, offset):
        super().__init__()
        self.span = look.before - BACK, look.before + look.step + AHEAD[look.name]
        self.register_buffer("mean", torch.from_numpy(directions.mean))
        self.register_buffer("matrix", torch.from_numpy(directions.matrix))
        self.register_buffer("gain", torch.tensor(gain).view(1, -1, 1))
        self.register_buffer("offset", torch.tensor(offset).view(1, -1, 1))
        self.net = net

    def forward(self, features):
        x = ((features[:, self.span[0] : self.span[1]] - self.mean) @ self.matrix).transpose(1, 2)
        y = self.net(x)[0] * self.gain + self.offset
        opening, width, shares, jaw, tongue = y.split([1, 1, 3, 1, 1], 1)
        return torch.cat([torch.relu(opening), width, shares.clamp(0, 1), torch.relu(jaw), tongue.clamp(0, 1)], 1)


def export(path, look, directions, net, kinds):
    # By what is measured, as long as there is any.
    known = [kind for kind in kinds if kind.name == "grid"] or kinds[:1]
    gain, offset = calibrate(*say(net, known))
    shipped = Calibrated(look, directions, net, gain, offset).eval()
    torch.onnx.export(
        shipped, (torch.zeros(1, look.rows, FEATURES),), path, input_names=["features"], output_names=["mouth"], opset_version=17
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("look", choices=LOOKS)
    parser.add_argument("--out", required=True)
    parser.add_argument("--without", nargs="*", default=[], help="kinds of data to leave out")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--linear", action="store_true")
    parser.add_argument("--name")
    args = parser.parse_args()
    torch.set_num_threads(1)
    look = LOOKS[args.look]
    kinds, directions = load(args.out, args.look, kinds_of(args.out, args.look, args.without))
    print(args.look, ", ".join(f"{kind.name} {len(kind.features)}" for kind in kinds), flush=True)
    net = Linear(args.look, *ridge(kinds, args.look)).eval() if args.linear else train(kinds, args.look, args.steps)
    export(f"{args.out}/{args.name or f'head_{args.look}.onnx'}", look, directions, net, kinds)


if __name__ == "__main__":
    main()
