"""mouth.onnx -> net.pt, to go on from what is shipped.

    python -m lipnet.reopen mouth.onnx --data DATA --speech SPEECH --out OUT

The export melts batch norms into convolutions. Here each gets back the mean and the spread that training speech gives
it, and so much scale and offset that the network says what it said. The heads, which the export calibrates and leaves
out, are fitted anew.
"""

import argparse
import multiprocessing

import onnx
import torch
from onnx import numpy_helper
from torch import nn

from . import dataset
from .network import MouthNet
from .train import batches, loss_of

BATCHES, HEAD_STEPS = 40, 150


def convolutions(path):
    """Weights and biases of a model's convolutions, in the order in which they are used."""
    graph = onnx.load(path).graph
    values = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    return [[values[name] for name in node.input[1:]] for node in graph.node if node.op_type == "Conv"]


def pairs(net):
    """Each convolution with the norm behind it, or none, in the same order."""
    return [
        tuple(net.first[:2]),
        *((layer.conv, layer.norm) for layer in net.layers),
        (net.overview[0], None),
        tuple(net.mix[:2]),
    ]


@torch.no_grad()
def take_over(net, found):
    for (conv, norm), (weight, bias) in zip(pairs(net), found):
        conv.weight.copy_(weight.view_as(conv.weight))
        if norm is None:
            conv.bias.copy_(bias)
        else:
            norm.weight.fill_((1 + norm.eps) ** 0.5)
            norm.bias.copy_(bias)


@torch.no_grad()
def restore_norms(net, inputs):
    """Gives the norms the statistics of `inputs`, without a change of what the network says."""
    seen = {}

    def keep(norm, values):
        x = values[0].transpose(0, 1).flatten(1)
        seen.setdefault(norm, []).append((x.mean(1), x.square().mean(1)))

    norms = [norm for _, norm in pairs(net) if norm is not None]
    hooks = [norm.register_forward_pre_hook(keep) for norm in norms]
    for mel in inputs:
        net.features(mel)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean, square = (torch.stack(parts).mean(0) for parts in zip(*seen[norm]))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_((square - mean**2).clamp(min=1e-6))
        norm.weight.copy_((norm.running_var + norm.eps).sqrt())
        norm.bias += mean


def fit_heads(net, source):
    heads = [*net.movement.parameters(), *net.shape.parameters()]
    optimiser = torch.optim.Adam(heads, 1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=HEAD_STEPS)
    for step in range(HEAD_STEPS):
        mel, target, weight, label = map(torch.from_numpy, source.get())
        with torch.no_grad():
            features = net.features(mel)
        error, wrong = loss_of(net.movement(features), net.shape(features), target, weight, label)
        optimiser.zero_grad()
        (error + wrong).backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 49:
            print(f"heads {step + 1} error {error.item():.3f} phones {wrong.item():.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("onnx")
    parser.add_argument("--data", required=True)
    parser.add_argument("--speech", required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    utterances, _ = dataset.build(args.data, args.speech, args.out)
    utterances += dataset.performer(f"{args.data}/facegood")
    queue = multiprocessing.Queue(4)
    producer = multiprocessing.Process(target=batches, args=(utterances, 0, queue), daemon=True)
    producer.start()
    net = MouthNet().eval()
    found = convolutions(args.onnx)
    take_over(net, found)
    with torch.no_grad():
        weight, bias = found[-1]
        net.movement.weight.copy_(weight)
        net.movement.bias.copy_(bias)
    inputs = [torch.from_numpy(queue.get()[0]) for _ in range(BATCHES)]
    before = net.movement(net.features(inputs[0]))
    restore_norms(net, inputs)
    after = net.movement(net.features(inputs[0]))
    print(f"what the norms changed: {(before - after).abs().max().item():.1e}")
    fit_heads(net, queue)
    producer.terminate()
    torch.save(net.state_dict(), f"{args.out}/net.pt")


if __name__ == "__main__":
    main()
