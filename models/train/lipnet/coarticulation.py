"""Phones with times -> movement, by blended dominance functions whose values are fitted to measured movement.

Each phone pulls the mouth towards its own values, most at its middle and less with distance; what the mouth does is
the mean of the values, weighted with the pulls (Cohen and Massaro, 1993). Values, strengths and reaches are learnt.
"""

import numpy as np
import torch

from .mel import COLUMNS_PER_SECOND
from .phones import NUMBER, SHAPES

# tuck, press, raise and tongue (its tip behind the upper teeth) can't be measured from outside by points; these are by
# hand.
_HAND = {"f": (1, 0, 0.5, 0), "p": (0, 1, 0, 0), "s": (0, 0, 0.45, 0.2), "sh": (0, 0, 0.4, 0), "iy": (0, 0, 0.35, 0),
         "th": (0, 0, 0.3, 1), "t": (0, 0, 0.25, 0.8), "n": (0, 0, 0.2, 0.9), "l": (0, 0, 0.15, 1), "eh": (0, 0, 0.3, 0),
         "ae": (0, 0, 0.4, 0), "ih": (0, 0, 0.25, 0), "aa": (0, 0, 0.15, 0), "k": (0, 0, 0.15, 0), "y": (0, 0, 0.3, 0)}

# Width and strength by hand. How one speaker's width moves says little about another's: on other talkers this table
# follows the measured width better (r = 0.53) than the values fitted to the GRID speaker (0.28).
_WIDTH = {"sil": (0, 0.5), "p": (-0.02, 1), "f": (0.01, 1), "th": (0.01, 1), "t": (0.02, 0.8), "n": (0.015, 0.7),
          "l": (0.015, 0.7), "s": (0.035, 1.3), "sh": (-0.08, 1.6), "k": (0.01, 0.6), "r": (-0.07, 1.1),
          "w": (-0.14, 1.6), "y": (0.08, 1.2), "hh": (0, 0.6), "aa": (0.01, 1.4), "ae": (0.02, 1.4), "ah": (0, 0.6),
          "ao": (-0.08, 1.4), "eh": (0.04, 1.2), "er": (-0.07, 1.1), "ih": (0.05, 1.2), "iy": (0.08, 1.2),
          "uh": (-0.09, 1.3), "uw": (-0.14, 1.6)}

# Opening by hand, whose mean with the fitted one is the target of synthetic speech: other people open otherwise.
_OPENING = {"sil": 0.01, "p": 0, "f": 0.03, "th": 0.08, "t": 0.07, "n": 0.07, "l": 0.08, "s": 0.05, "sh": 0.08, "k": 0.1,
            "r": 0.08, "w": 0.05, "y": 0.1, "hh": 0.11, "aa": 0.25, "ae": 0.24, "ah": 0.11, "ao": 0.17, "eh": 0.16,
            "er": 0.09, "ih": 0.11, "iy": 0.11, "uh": 0.07, "uw": 0.06}


class Coarticulation(torch.nn.Module):
    """Movement [opening, jaw] for padded lists of phones."""

    def __init__(self):
        super().__init__()
        count = len(SHAPES)
        self.value = torch.nn.Parameter(torch.zeros(count, 2) + torch.tensor([0.08, 0.05]))
        self.strength = torch.nn.Parameter(torch.zeros(count, 2))
        self.reach = torch.nn.Parameter(torch.zeros(count, 2, 2))
        self.shift = torch.nn.Parameter(torch.zeros(count))

    def forward(self, shape, start, end, times):
        """shape, start, end [B, N] (shape -1: none), times [T] -> [B, T, 2]."""
        known = (shape >= 0).float()
        shape = shape.clamp(min=0)
        middle = (start + end) / 2 + 0.1 * torch.tanh(self.shift[shape])
        half = ((end - start) / 2).clamp(0.02, 0.25)
        away = (times[None, :, None] - middle[:, None]) / (half[:, None] + 0.02)
        reach = self.reach[shape].exp()[:, None]
        late = (away > 0)[..., None]
        scaled = away[..., None] / torch.where(late, reach[:, :, :, 1], reach[:, :, :, 0])
        pull = (self.strength[shape][:, None] - 0.8 * scaled.abs() ** 1.5).exp() * known[:, None, :, None]
        return (pull * self.value[shape][:, None]).sum(2) / (pull.sum(2) + 1e-5)


def fit(utterances, steps=500):
    """utterances: [(shapes, movement [frames, 2] at 25 fps, weight [frames])] -> a fitted model."""
    torch.manual_seed(0)
    model = Coarticulation()
    shape, start, end = _pad([u[0] for u in utterances])
    frames = min(len(u[1]) for u in utterances)
    truth = torch.tensor(np.stack([u[1][:frames] for u in utterances]))
    weight = torch.tensor(np.stack([u[2][:frames] for u in utterances]))[..., None]
    scale = truth.std((0, 1))
    times = torch.arange(frames) / 25
    optimiser = torch.optim.Adam(model.parameters(), 0.03)
    for step in range(steps):
        pick = torch.randint(len(truth), (48,))
        said = model(shape[pick], start[pick], end[pick], times)
        loss = (weight[pick] * ((said - truth[pick]) / scale) ** 2).mean()
        loss = loss + 1e-3 * (model.strength**2).mean() + 1e-3 * (model.reach**2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


@torch.no_grad()
def movement(model, shapes, columns):
    """-> [columns, 2] opening, jaw."""
    times = torch.arange(columns) / COLUMNS_PER_SECOND
    return model(*_pad([shapes]), times)[0].numpy()


def table(values, shapes, columns):
    """-> [columns]: of each shape its value (or value and strength), blended."""
    times = np.arange(columns) / COLUMNS_PER_SECOND
    total, pulls = np.zeros(columns), np.full(columns, 1e-4)
    for shape, start, end in shapes:
        value = values[shape] if values is _OPENING else values[shape][0]
        away = (times - (start + end) / 2) / (1.1 * max((end - start) / 2, 0.02))
        pull = _WIDTH[shape][1] * np.exp(-(away**2))
        total, pulls = total + pull * value, pulls + pull
    return (total / pulls).astype(np.float32)


def width(shapes, columns):
    return table(_WIDTH, shapes, columns)


def opening(shapes, columns):
    return table(_OPENING, shapes, columns)


def by_hand(shapes, columns):
    """-> [columns, 4] tuck, press, raise, tongue, and how closed the lips are: [columns], 1 at a bilabial."""
    times = np.arange(columns) / COLUMNS_PER_SECOND
    out = np.zeros((columns, 4), np.float32)
    for shape, start, end in shapes:
        if shape in _HAND:
            pulse = _pulse(times, start, end, 0.05)
            out = np.maximum(out, pulse[:, None] * np.float32(_HAND[shape]))
    closed = np.zeros(columns, np.float32)
    for shape, start, end in shapes:
        if shape == "p":
            closed = np.maximum(closed, closure(times, (start + end) / 2, end - start))
    out[:, 2] *= 1 - closed
    return out, closed


def closure(times, middle, duration):
    """1 while the lips touch, then falling to 0 as they part."""
    half = min(max(duration / 2, 0.03), 0.08)
    t = np.clip((np.abs(times - middle) - 0.5 * half) / (half + 0.015), 0, 1)
    return (1 - t * t * (3 - 2 * t)).astype(np.float32)


def _pulse(times, start, end, ramp):
    t = np.clip(np.minimum(times - start + ramp, end + ramp - times) / (1.5 * ramp), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _pad(lists):
    longest = max(len(shapes) for shapes in lists)
    shape = torch.full((len(lists), longest), -1)
    start, end = torch.zeros(len(lists), longest), torch.zeros(len(lists), longest)
    for i, shapes in enumerate(lists):
        for j, (name, a, b) in enumerate(shapes):
            shape[i, j], start[i, j], end[i, j] = NUMBER[name], a, b
    return shape, start, end
