"""Windows of speech as the world sends them: other voices, rooms, noises, levels, bands."""

import numpy as np
from scipy.signal import resample

from .landmarks import NAMES
from .mel import HOP, RATE, mel
from .phones import NUMBER


def window(utterance, columns, rng):
    """A random piece of an utterance -> samples, target, weight, label of `columns` columns."""
    speed = np.exp(rng.uniform(-0.2, 0.2)) if rng.random() < 0.7 else 1.0
    # At this speed so many columns of the recording fill the window; the pitch and the vocal tract change with it.
    wanted = int(round(columns * speed))
    have = len(utterance.target)
    start = rng.integers(-wanted // 4, max(1, have - 3 * wanted // 4))
    index = np.arange(start, start + wanted)
    inside = (index >= 0) & (index < have)
    index = index.clip(0, have - 1)
    target = utterance.target[index] * inside[:, None]
    weight = np.where(inside[:, None], utterance.weight[index], 1)
    label = np.where(inside, utterance.label[index], NUMBER["sil"])
    samples = np.zeros(wanted * HOP, np.float32)
    a, b = max(0, start * HOP), min(len(utterance.samples), (start + wanted) * HOP)
    if b > a:
        samples[a - start * HOP : b - start * HOP] = utterance.samples[a:b]
    if wanted != columns:
        samples = resample(samples, columns * HOP).astype(np.float32)
        at = np.linspace(0, wanted - 1, columns)
        low = at.astype(int)
        high, t = np.minimum(low + 1, wanted - 1), (at - low)[:, None].astype(np.float32)
        target = target[low] * (1 - t) + target[high] * t
        weight, label = np.minimum(weight[low], weight[high]), label[low]
    return samples, target.astype(np.float32), weight.astype(np.float32), label


def level(x):
    return float(np.sqrt(np.mean(x * x)) + 1e-9)


def decibel(db):
    return 10 ** (db / 20)


def noise(count, rng):
    """Noise of a random colour, level 1."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / RATE) + 20
    spectrum *= (hz / 1000) ** rng.uniform(-1.2, 0.3)
    x = np.fft.irfft(spectrum, count)
    if rng.random() < 0.3:
        x += 3 * level(x) * np.sin(2 * np.pi * rng.choice([50, 60, 100, 120]) * np.arange(count) / RATE)
    if rng.random() < 0.3:
        t = np.arange(count) / RATE
        x *= 1 + 0.9 * np.sin(2 * np.pi * rng.uniform(0.3, 4) * t + rng.uniform(0, 6))
    return (x / level(x)).astype(np.float32)


def music(count, rng):
    """Chords, a bass and a beat, level 1."""
    x = np.zeros(count)
    beat = int(RATE * rng.uniform(0.2, 0.6))
    for first in range(-rng.integers(beat), count, beat):
        length = min(int(beat * rng.uniform(0.8, 3)), count - max(first, 0))
        if length < 100:
            continue
        t = np.arange(length) / RATE
        fade = np.exp(-t * rng.uniform(0.5, 8)) * np.minimum(1, t / rng.uniform(0.003, 0.08))
        root = 55 * 2 ** (rng.integers(0, 36) / 12)
        for step in rng.choice([0, 3, 4, 7, 10, 12, 16, 19], rng.integers(1, 4), replace=False):
            tone = root * 2 ** (step / 12)
            for k in range(1, rng.integers(2, 9)):
                if tone * k < 7500:
                    wave = np.sin(2 * np.pi * tone * k * t + rng.uniform(0, 6))
                    x[max(first, 0) : max(first, 0) + length] += fade * wave / k ** rng.uniform(0.7, 2)
        if rng.random() < 0.4:
            hit = rng.standard_normal(length) * np.exp(-t * rng.uniform(20, 80))
            x[max(first, 0) : max(first, 0) + length] += rng.uniform(0.3, 2) * hit
    return (x / level(x)).astype(np.float32)


def colour(x, rng):
    """A microphone, a room and a channel, all in one filter."""
    size = len(x) + RATE // 2
    hz = np.fft.rfftfreq(size, 1 / RATE)
    knots = np.linspace(0, np.log(8001 / 60), 7)
    gain = np.interp(np.log((hz + 60) / 60), knots, rng.uniform(-7, 7, 7))
    response = decibel(gain).astype(complex)
    if rng.random() < 0.25:
        low, high = rng.uniform(60, 350), rng.uniform(2800, 6500)
        response *= 1 / np.sqrt(1 + (low / (hz + 1)) ** 8) / np.sqrt(1 + (hz / high) ** 16)
    if rng.random() < 0.35:
        length = int(RATE * rng.uniform(0.05, 0.45))
        tail = rng.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
        tail *= rng.uniform(0.1, 0.7) / np.sqrt((tail**2).sum())
        tail[0] = 1
        response *= np.fft.rfft(tail, size)
    return np.fft.irfft(np.fft.rfft(x, size) * response, size)[: len(x)].astype(np.float32)


def degrade(x, rng):
    """What may happen to speech on its way here; the loudest of it stays under the clip level most times."""
    loud = level(x)
    if rng.random() < 0.6:
        x = colour(x, rng)
        x *= loud / level(x)
    if rng.random() < 0.5:
        x = x + loud * decibel(-rng.uniform(3, 35)) * noise(len(x), rng)
    if rng.random() < 0.15:
        x = x + loud * decibel(-rng.uniform(5, 30)) * music(len(x), rng)
    x = x * decibel(rng.uniform(-30, 6))
    choice = rng.random()
    if choice < 0.06:
        x = np.sign(x) * np.log1p(255 * np.abs(x).clip(0, 1)) / np.log(256)
        x = np.round(x * 127) / 127
        x = np.sign(x) * np.expm1(np.abs(x) * np.log(256)) / 255
    elif choice < 0.12:
        x = np.round(x * 512) / 512
    return np.clip(x, -1, 1).astype(np.float32)


def voiceless(columns, rng):
    """Samples with no voice in them: nothing, noise, or music at low level."""
    count = columns * HOP
    choice = rng.random()
    if choice < 0.1:
        return np.zeros(count, np.float32)
    x = noise(count, rng) if choice < 0.55 else music(count, rng)
    x = x * decibel(rng.uniform(-75, -25))
    if rng.random() < 0.3:
        x = x + decibel(rng.uniform(-80, -40)) * noise(count, rng)
    # Begins or ends within the window, as things do.
    if rng.random() < 0.3:
        cut = rng.integers(count)
        x[:cut] *= rng.integers(2)
    return np.clip(x, -1, 1).astype(np.float32)


def breath(columns, rng):
    """Breaths and clicks of lips between nothing."""
    count = columns * HOP
    x = np.zeros(count, np.float32)
    for _ in range(rng.integers(1, 4)):
        length = min(count, int(RATE * rng.uniform(0.25, 0.9)))
        start = rng.integers(count - length + 1)
        size = np.fft.rfftfreq(length, 1 / RATE)
        centre = np.exp(rng.uniform(np.log(600), np.log(3500)))
        spectrum = np.fft.rfft(rng.standard_normal(length)) / (1 + ((size - centre) / rng.uniform(500, 2500)) ** 2)
        blow = np.fft.irfft(spectrum, length) * np.hanning(length) ** rng.uniform(0.5, 1.5)
        x[start : start + length] += decibel(rng.uniform(-60, -36)) * blow / level(blow)
    for _ in range(rng.integers(0, 4)):
        length = int(RATE * rng.uniform(0.003, 0.02))
        start = rng.integers(max(1, count - length))
        click = rng.standard_normal(length) * np.exp(-5 * np.arange(length) / length)
        x[start : start + length] += (decibel(rng.uniform(-50, -25)) * click / level(click))[: count - start]
    return x.astype(np.float32)


def whispered(x, rng):
    """The same speech without a voice: the envelope of its spectrum, filled with noise, less of the low."""
    size, hop = 512, 128
    window = np.hanning(size + 1)[:size]
    padded = np.pad(x, size)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * window
    magnitude = np.abs(np.fft.rfft(frames, axis=1))
    width = 9
    smooth = np.cumsum(np.pad(magnitude, ((0, 0), (width // 2 + 1, width // 2)), mode="edge"), 1)
    smooth = (smooth[:, width:] - smooth[:, :-width]) / width
    hz = np.fft.rfftfreq(size, 1 / RATE)
    smooth *= np.minimum(1, (hz / rng.uniform(500, 1200)) ** rng.uniform(0.5, 1.2))
    noise = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(rng.standard_normal(len(padded)), size)[::hop] * window)
    made = np.fft.irfft(smooth * noise / np.sqrt(size / 2), size, axis=1) * window
    out = np.zeros(len(padded))
    for i, piece in enumerate(made):
        out[i * hop : i * hop + size] += piece
    out = out[size : size + len(x)]
    return (out * decibel(-rng.uniform(0, 15)) * level(x) / level(out)).astype(np.float32)


def example(utterances, columns, rng):
    """-> mel [bands, columns], target [outputs, columns], weight, label."""
    if utterances is None:
        x = voiceless(columns, rng)
        target = np.zeros((columns, len(NAMES)), np.float32)
        weight, label = np.ones_like(target), np.full(columns, NUMBER["sil"])
    else:
        one = utterances[rng.integers(len(utterances))]
        x, target, weight, label = window(one, columns, rng)
        x = degrade(x, rng)
    m = mel(x)[:columns].T
    if rng.random() < 0.4:
        # A vocal tract of another length.
        bands = np.arange(len(m))
        at = (bands * rng.uniform(0.93, 1.07) + rng.uniform(-1, 1)).clip(0, len(m) - 1)
        low = at.astype(int)
        t = (at - low)[:, None].astype(np.float32)
        m = m[low] * (1 - t) + m[np.minimum(low + 1, len(m) - 1)] * t
    return m, target.T, weight.T, label
