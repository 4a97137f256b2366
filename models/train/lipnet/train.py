"""Trains the network that needs nothing but a spectrogram: the student of the head that has all of the sound.

    python -m lipnet.train --out OUT [--steps N] [--begin mouth.onnx]

OUT holds what lipnet.prepare made and head_whole.onnx; it gets net.pt.
"""

import argparse
import copy
import multiprocessing
import os
import time

import numpy as np
import onnx
import torch
from torch import nn

from . import augment, lessons
from .network import AFTER, BEFORE, MouthNet

COLUMNS, BATCH = 192, 24
# How often each kind of speech is drawn.
SHARES = {"grid": 0.42, "synth": 0.36, "facegood": 0.1, "none": 0.12}
# What counts as one unit of error: opening, width, tuck, press, raise, jaw, tongue.
UNIT = torch.tensor([0.05, 0.025, 0.3, 0.3, 0.15, 0.045, 0.3]).view(1, 7, 1)
IMPORTANCE = torch.tensor([1.0, 0.6, 0.25, 0.4, 0.25, 0.5, 0.25]).view(1, 7, 1)
# Each window serves so many times, each time in other company.
REUSE = 3
HIGHEST_RATE = 3e-3


def batches(utterances, seed, queue, without=()):
    """Puts batches into the queue for ever, the same ones for the same seed."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    pools = {s: [u for u in utterances if u.source == s and not u.held] or None for s in SHARES}
    kinds = [kind for kind in SHARES if kind not in without]
    shares = np.array([SHARES[kind] for kind in kinds])
    shares /= shares.sum()
    recent = []
    while True:
        for _ in range(BATCH // REUSE):
            kind = rng.choice(kinds, p=shares)
            recent.append(augment.example(pools[kind], BEFORE + COLUMNS + AFTER, rng))
        recent = recent[-40 * BATCH :]
        pick = rng.integers(len(recent), size=BATCH)
        mel, target, weight, label = (np.stack([recent[i][k] for i in pick]) for k in range(4))
        inner = slice(BEFORE, BEFORE + COLUMNS)
        queue.put((mel.astype(np.float32), target[:, :, inner], weight[:, :, inner], label[:, inner]))


def loss_of(said, shapes, target, weight, label):
    off = (said - target) / UNIT
    # A mouth that should be closed and isn't is what people see first.
    sharp = torch.ones_like(target)
    sharp[:, :1] += 2.0 * target[:, 3:4]
    error = (IMPORTANCE * weight * sharp * off**2).mean()
    step = 4
    moved = off[:, :, step:] - off[:, :, :-step]
    error = error + 0.3 * (IMPORTANCE * weight[:, :, step:] * moved**2).mean()
    return error, nn.functional.cross_entropy(shapes, label, ignore_index=-1)


def begin(net, path):
    """The weights of an exported network, whose norms are folded into its convolutions; a new output begins at zero."""
    graph = onnx.load(path).graph
    values = {i.name: torch.from_numpy(onnx.numpy_helper.to_array(i).copy()) for i in graph.initializer}
    folded = [values[k] for k in values if k.startswith("onnx::Conv")]
    layers = [(net.first[0], net.first[1]), *((layer.conv, layer.norm) for layer in net.layers), (net.mix[0], net.mix[1])]
    with torch.no_grad():
        for (conv, norm), weight, bias in zip(layers, folded[::2], folded[1::2], strict=True):
            conv.weight.copy_(weight)
            norm.running_mean.zero_()
            norm.running_var.fill_(1 - norm.eps)
            norm.bias.copy_(bias)
        net.overview[0].weight.copy_(values["net.overview.0.weight"])
        net.overview[0].bias.copy_(values["net.overview.0.bias"])
        net.movement.weight.zero_()
        net.movement.bias.zero_()
        known = min(len(values["net.movement.bias"]), len(net.movement.bias))
        net.movement.weight[:known] = values["net.movement.weight"]
        net.movement.bias[:known] = values["net.movement.bias"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--begin", help="an exported network to go on from")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without", nargs="*", default=[], choices=SHARES, help="kinds of data to leave out")
    args = parser.parse_args()
    torch.manual_seed(args.seed - 1)
    torch.set_num_threads(1)
    utterances = lessons.pieces(args.out, f"{args.out}/head_whole.onnx")
    queue = multiprocessing.Queue(8)
    producer = multiprocessing.Process(target=batches, args=(utterances, args.seed, queue, args.without), daemon=True)
    producer.start()
    net = MouthNet()
    if args.begin:
        begin(net, args.begin)
    average = copy.deepcopy(net).eval()
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, HIGHEST_RATE / (4 if args.begin else 1), total_steps=args.steps, pct_start=0.1)
    began, seen = time.time(), []
    for step in range(args.steps):
        mel, target, weight, label = map(torch.from_numpy, queue.get())
        # Norms that were folded in have no statistics to go on from.
        net.train(not args.begin)
        said, shapes = net(mel)
        error, wrong = loss_of(said, shapes, target, weight, label)
        optimiser.zero_grad()
        (error + 0.15 * wrong).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        keep = min(0.998, 1 - 1 / (step + 1))
        with torch.no_grad():
            for a, b in zip(average.state_dict().values(), net.state_dict().values()):
                a.lerp_(b, 1 - keep) if a.is_floating_point() else a.copy_(b)
        seen.append((error.item(), wrong.item()))
        if step % 200 == 199 or step + 1 == args.steps:
            error, wrong = np.mean(seen[-200:], 0)
            print(f"{step + 1} error {error:.3f} phones {wrong:.3f} {time.time() - began:.0f} s", flush=True)
            torch.save(average.state_dict(), f"{args.out}/net.pt.part")
            os.replace(f"{args.out}/net.pt.part", f"{args.out}/net.pt")
    producer.terminate()


if __name__ == "__main__":
    main()
