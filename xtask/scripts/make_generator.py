"""Builds a network of Wav2Lip's architecture with random weights, to measure speed with.

usage: make_generator.py OUT.onnx

The layers are those of the paper's generator at 96x96 pixels, batch normalisation folded into the convolutions: about
36 million weights. It takes `mel` [B,1,80,16] and `face` [B,6,96,96] and gives `frames` [B,3,96,96]. The pictures it
makes mean nothing.
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# A convolution: kernel, stride (down, across), padding. R is one that keeps size and channels and adds its input.
K7 = (7, (1, 1), 3)
K3 = (3, (1, 1), 1)
HALF = (3, (2, 2), 1)
NARROW = (3, (1, 1), 0)
POINT = (1, (1, 1), 0)
R = "residual"

# Each list is one block; (channels out, shape). The picture's size after each block of the face encoder is in the comment.
FACE_ENCODER = [
    [(16, K7)],  # 96
    [(32, HALF), R, R],  # 48
    [(64, HALF), R, R, R],  # 24
    [(128, HALF), R, R],  # 12
    [(256, HALF), R, R],  # 6
    [(512, HALF), R],  # 3
    [(512, NARROW), (512, POINT)],  # 1
]
AUDIO_ENCODER = [
    [(32, K3), R, R],
    [(64, (3, (3, 1), 1)), R, R],
    [(128, (3, (3, 3), 1)), R, R],
    [(256, (3, (3, 2), 1)), R],
    [(512, NARROW), (512, POINT)],
]
# Channels out, and how many residual layers follow; each block but the first begins with a transposed convolution, and
# after each the output of the face encoder's block of the same size is joined on.
DECODER = [(512, 0), (512, 1), (512, 2), (384, 2), (256, 2), (128, 2), (64, 2)]


class Network:
    def __init__(self):
        self.random = np.random.default_rng(0)
        self.nodes = []
        self.weights = []

    def add(self, kind, inputs, **attributes):
        output = f"{kind}_{len(self.nodes)}".lower()
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def weight(self, shape, fan_in):
        """Of the size that keeps the variance from layer to layer, so that no value runs off or fades to nothing."""
        name = f"weight_{len(self.weights)}"
        values = self.random.standard_normal(shape) * np.sqrt(2 / fan_in)
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def convolution(self, x, channels_in, channels_out, shape, residual=False, activation="Relu"):
        kernel, strides, padding = shape
        weight = self.weight((channels_out, channels_in, kernel, kernel), channels_in * kernel * kernel)
        bias = self.weight((channels_out,), 1e6)
        y = self.add("Conv", [x, weight, bias], strides=strides, pads=[padding] * 4, kernel_shape=[kernel] * 2)
        if residual:
            y = self.add("Add", [y, x])
        return self.add(activation, [y])

    def enlargement(self, x, channels_in, channels_out, first):
        weight = self.weight((channels_in, channels_out, 3, 3), channels_in * 9 / (1 if first else 4))
        bias = self.weight((channels_out,), 1e6)
        shape = {} if first else {"strides": [2, 2], "pads": [1] * 4, "output_padding": [1, 1]}
        return self.add("Relu", [self.add("ConvTranspose", [x, weight, bias], kernel_shape=[3, 3], **shape)])

    def encoder(self, x, channels, blocks):
        """Gives the output and channel count of every block."""
        outputs = []
        for block in blocks:
            for layer in block:
                if layer is R:
                    x = self.convolution(x, channels, channels, K3, residual=True)
                else:
                    x = self.convolution(x, channels, *layer)
                    channels = layer[0]
            outputs.append((x, channels))
        return outputs

    def decoder(self, x, channels, skipped):
        for index, (channels_out, residuals) in enumerate(DECODER):
            if index == 0:
                x = self.convolution(x, channels, channels_out, POINT)
            else:
                x = self.enlargement(x, channels, channels_out, first=index == 1)
            for _ in range(residuals):
                x = self.convolution(x, channels_out, channels_out, K3, residual=True)
            beside, more = skipped.pop()
            x = self.add("Concat", [x, beside], axis=1)
            channels = channels_out + more
        x = self.convolution(x, channels, 32, K3)
        return self.convolution(x, 32, 3, POINT, activation="Sigmoid")


def tensor(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])


network = Network()
faces = network.encoder("face", 6, FACE_ENCODER)
speech, channels = network.encoder("mel", 1, AUDIO_ENCODER)[-1]
result = network.decoder(speech, channels, faces)
network.nodes[-1].output[0] = "frames"

graph = helper.make_graph(
    network.nodes,
    "generator",
    [tensor("mel", 1, 80, 16), tensor("face", 6, 96, 96)],
    [tensor("frames", 3, 96, 96)],
    network.weights,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, sys.argv[1])
