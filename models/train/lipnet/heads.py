"""The heads: features of the front end -> mouth, one for each way to look.

The features are brought to their main directions, each of spread one, which what a head hears of one man's voice does
not change; what follows is small, for two people and a table are all the movement there is to learn from.
"""

import numpy as np
import torch
from torch import nn

from .features import AHEAD, BACK
from .front import FEATURES
from .landmarks import NAMES
from .phones import SHAPES

DIRECTIONS = 128
CHANNELS = 96


def layers(look):
    """Dilations, and whether a layer looks to both sides: a row sees BACK rows back and AHEAD rows ahead."""
    return [(1, True), (2, True), (3, True), (5, False)] if look == "stream" else [(1, True), (2, True), (4, True), (8, True)]


class Layer(nn.Module):
    """h + relu(convolution(h)), three taps."""

    def __init__(self, dilation, both, dropout):
        super().__init__()
        self.conv = nn.Conv1d(CHANNELS, CHANNELS, 3, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(CHANNELS)
        self.dropout = nn.Dropout(dropout)
        self.left, self.right = (dilation, dilation) if both else (2 * dilation, 0)

    def forward(self, h):
        kept = h[:, :, self.left : -self.right] if self.right else h[:, :, self.left :]
        return kept + torch.relu(self.norm(self.conv(self.dropout(h))))


class Head(nn.Module):
    """Features [B, BACK + T + AHEAD, 384], brought to directions -> movement [B, 7, T], shapes of phones [B, n, T]."""

    def __init__(self, look, dropout=0.2):
        super().__init__()
        self.first = nn.Sequential(nn.Dropout(dropout), nn.Conv1d(DIRECTIONS, CHANNELS, 1, bias=False), nn.BatchNorm1d(CHANNELS), nn.ReLU())
        self.layers = nn.ModuleList(Layer(*layer, dropout) for layer in layers(look))
        left, right = (sum(getattr(layer, side) for layer in self.layers) for side in ("left", "right"))
        self.skip = BACK - left, AHEAD[look] - right
        self.drop = nn.Dropout(dropout)
        self.movement = nn.Conv1d(CHANNELS, len(NAMES), 1)
        self.shape = nn.Conv1d(CHANNELS, len(SHAPES), 1)
        with torch.no_grad():
            # A mouth moves little: it begins near rest, not with jumps that take hundreds of steps to unlearn.
            self.movement.weight *= 0.05
            self.movement.bias.zero_()

    def forward(self, x):
        h = self.first(x[:, :, self.skip[0] : x.shape[2] - self.skip[1]])
        for layer in self.layers:
            h = layer(h)
        h = self.drop(h)
        return self.movement(h), self.shape(h)


class Directions:
    """Main directions of the features, each scaled to spread one (the weakest ones to less)."""

    def __init__(self, features):
        flat = features.reshape(-1, FEATURES).astype(np.float64)
        self.mean = flat.mean(0)
        spread, directions = np.linalg.eigh(np.cov((flat - self.mean).T))
        spread, directions = spread[::-1][:DIRECTIONS], directions[:, ::-1][:, :DIRECTIONS]
        self.matrix = directions / np.sqrt(spread + 0.02 * spread[0] ** 0.5 * spread[-1] ** 0.5)
        self.mean, self.matrix = self.mean.astype(np.float32), self.matrix.astype(np.float32)

    def __call__(self, features):
        return (features.astype(np.float32) - self.mean) @ self.matrix


class Linear(nn.Module):
    """The same, each row of a straight sum over all that a row sees: solved for, not trained."""

    def __init__(self, look, weight, bias):
        super().__init__()
        self.linear = nn.Conv1d(DIRECTIONS, len(NAMES), BACK + 1 + AHEAD[look])
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(weight))
            self.linear.bias.copy_(torch.from_numpy(bias))

    def forward(self, x):
        return self.linear(x), None
