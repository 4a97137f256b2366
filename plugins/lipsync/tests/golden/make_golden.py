"""Writes the golden mel spectrograms beside this file: 32-bit floats, column after column.

    python -m venv v && v/bin/pip install librosa==0.11.0 numpy==2.4.6 scipy==1.17.1
    v/bin/python make_golden.py

The signal is a formula, the same in src/audio/tests.rs, so that no audio file is needed.
`wav2lip` is what librosa makes of Wav2Lip's parameters; `facefusion` is its own recipe in scipy.
"""
from pathlib import Path

import librosa
import numpy as np
import scipy.signal

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
