"""Builds a mouth-shape network that opens the mouth as loud as a tone of 1 kHz is.

usage: make_follower.py OUT.onnx COMMAND.txt TONE.wav SECONDS [still]

The network takes `mel` [1,80,T], gives `mouth` [1,3,T] and knows one band of the mel. TONE.wav is a tone whose level,
on a logarithmic scale, goes up and down; COMMAND.txt has the opening that this asks for, a line for each frame at 25 a
second. With `still` the level stays the same.
"""

import sys
import wave

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FRAMES_PER_SECOND, RATE = 25, 16000
# The band in which 1 kHz lies, where Slaney's scale turns from even steps to logarithmic ones.
FREQUENCY, BANDS, BAND = 1000, 80, 25
# From one level to one ten times as high the mel goes up by 1.6.
OPENING_OF_MEL, OPENING_OF_LEVEL = 0.1, 0.16

model, command, tone, seconds = *sys.argv[1:4], int(sys.argv[4])
still = sys.argv[5:] == ["still"]


def level(time):
    """Decimal logarithm of the amplitude; it changes more slowly than the mel's window is long."""
    if still:
        return np.full_like(time, -1.0)
    sway = 0.6 * np.sin(2 * np.pi * 0.7 * time) + 0.4 * np.sin(2 * np.pi * 1.3 * time + 1)
    return -1.15 + 0.85 * sway


time = np.arange(seconds * RATE) / RATE
samples = 10 ** level(time) * np.sin(2 * np.pi * FREQUENCY * time)
with wave.open(tone, "wb") as file:
    file.setparams((1, 2, RATE, 0, "NONE", ""))
    file.writeframes((samples * 32767).astype("<i2").tobytes())
frames = np.arange(seconds * FRAMES_PER_SECOND) / FRAMES_PER_SECOND
np.savetxt(command, OPENING_OF_LEVEL * (level(frames) + 2))

weights = np.zeros((3, BANDS, 1), np.float32)
weights[0, BAND] = OPENING_OF_MEL
# The mel at the weakest level is -0.17: there the mouth is to be closed.
bias = np.zeros(3, np.float32)
bias[0] = OPENING_OF_MEL * 0.17
node = helper.make_node("Conv", ["mel", "weights", "bias"], ["mouth"], kernel_shape=[1])
graph = helper.make_graph(
    [node],
    "follower",
    [helper.make_tensor_value_info("mel", TensorProto.FLOAT, [1, BANDS, "t"])],
    [helper.make_tensor_value_info("mouth", TensorProto.FLOAT, [1, 3, "t"])],
    [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
)
made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(made)
onnx.save(made, model)
