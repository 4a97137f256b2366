"""The network: mel -> mouth, without padding, so that a column never depends on where a block ends."""

import torch
from torch import nn

from .landmarks import NAMES
from .mel import BANDS
from .phones import SHAPES

# What a column sees: so many columns of the past and of the future.
BEFORE, AFTER, BLOCK = 40, 10, 4
# Dilation, and whether the layer looks to both sides or only back.
LAYERS = [(1, True), (2, True), (2, True), (4, True), (4, False), (6, False)]
CHANNELS, OVERVIEW = 128, 24


class Layer(nn.Module):
    """h + relu(convolution(h)), three taps."""

    def __init__(self, channels, dilation, both):
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, 3, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(channels)
        self.left, self.right = (dilation, dilation) if both else (2 * dilation, 0)

    def forward(self, h):
        kept = h[:, :, self.left : -self.right] if self.right else h[:, :, self.left :]
        return kept + torch.relu(self.norm(self.conv(h)))


class MouthNet(nn.Module):
    """[B, 80, BEFORE + T + AFTER] -> movement [B, 6, T] and shapes of phones [B, n, T]; the latter only teach."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv1d(BANDS, CHANNELS, 3, bias=False), nn.BatchNorm1d(CHANNELS), nn.ReLU()
        )
        self.layers = nn.ModuleList(Layer(CHANNELS, *layer) for layer in LAYERS)
        past = 1 + sum(layer.left for layer in self.layers)
        assert AFTER == 1 + sum(layer.right for layer in self.layers) and past <= BEFORE
        self.unseen = BEFORE - past
        # The whole window at a glance: how loud, how noisy, whose voice.
        self.overview = nn.Sequential(
            nn.Conv1d(BANDS, OVERVIEW, 1), nn.ReLU(), nn.AvgPool1d(BEFORE + 1 + AFTER, stride=1)
        )
        self.mix = nn.Sequential(
            nn.Conv1d(CHANNELS + OVERVIEW, CHANNELS, 1, bias=False), nn.BatchNorm1d(CHANNELS), nn.ReLU()
        )
        self.dropout = nn.Dropout(0.1)
        self.movement = nn.Conv1d(CHANNELS, len(NAMES), 1)
        self.shape = nn.Conv1d(CHANNELS, len(SHAPES), 1)

    def features(self, mel):
        h = self.first(mel[:, :, self.unseen :])
        for layer in self.layers:
            h = layer(self.dropout(h))
        return self.mix(torch.cat([h, self.overview(mel)], 1))

    def forward(self, mel):
        h = self.features(mel)
        return self.movement(h), self.shape(h)
