"""The first layers of Whisper tiny.en as an ONNX network: mel [1, 80, 2 n] -> features [1, n, 384].

Two convolutions and two transformer layers (Radford and others, "Robust Speech Recognition via Large-Scale Weak
Supervision", 2022), out of a CTranslate2 file of version 6. Weights stay in 16 bits in the file; ONNX Runtime widens
them once, when it loads.
"""

import struct

import numpy as np
from onnx import TensorProto, helper, numpy_helper

LAYERS, HEADS, SIZE, BANDS = 2, 6, 384, 80
# CTranslate2's number for 16-bit floats.
FLOAT16 = 4


def weights(path):
    """The encoder's 16-bit variables by name."""
    found = {}
    with open(path, "rb") as file:

        def number(kind):
            return struct.unpack("<" + kind, file.read(struct.calcsize("<" + kind)))[0]

        def text():
            return file.read(number("H")).rstrip(b"\0").decode()

        version, kind = number("I"), text()
        if (version, kind) != (6, "WhisperSpec"):
            raise SystemExit(f"{path} is a {kind} of version {version}, not a WhisperSpec of version 6")
        number("I")
        for _ in range(number("I")):
            name = text()
            shape = [number("I") for _ in range(number("B"))]
            type_, size = number("B"), number("I")
            content = file.read(size)
            if type_ == FLOAT16 and name.startswith("encoder/"):
                found[name.removeprefix("encoder/")] = np.frombuffer(content, "<f2").reshape(shape)
    return found


class Graph:
    """Nodes and weights in the order in which they were added, so that the file is the same everywhere."""

    def __init__(self):
        self.nodes, self.initializers, self.known = [], [], set()

    def constant(self, name, value):
        if name not in self.known:
            self.known.add(name)
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def wide(self, name, value):
        """A 16-bit weight in 32 bits."""
        self.constant(name, value)
        return self.add("Cast", [name], name + "/f32", to=TensorProto.FLOAT)

    def add(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output


def build(w):
    g = Graph()

    def linear(x, name):
        product = g.add("MatMul", [x, g.wide(name + "/weight", w[name + "/weight"].T)], name + "/product")
        return g.add("Add", [product, g.wide(name + "/bias", w[name + "/bias"])], name + "/out")

    def norm(x, name):
        scales = [g.wide(f"{name}/{part}", w[f"{name}/{part}"]) for part in ("gamma", "beta")]
        return g.add("LayerNormalization", [x, *scales], name + "/out", axis=-1, epsilon=1e-5)

    def gelu(x):
        half, one, root = (g.constant(n, np.float32(v)) for n, v in (("half", 0.5), ("one", 1), ("root2", 2**0.5)))
        erf = g.add("Erf", [g.add("Div", [x, root], x + "/scaled")], x + "/erf")
        return g.add("Mul", [g.add("Mul", [x, g.add("Add", [erf, one], x + "/gate")], x + "/gated"), half], x + "/gelu")

    def conv(x, name, stride):
        inputs = [x, *(g.wide(f"{name}/{part}", w[f"{name}/{part}"]) for part in ("weight", "bias"))]
        return gelu(g.add("Conv", inputs, name + "/out", kernel_shape=[3], pads=[1, 1], strides=[stride]))

    def ints(name, *values):
        return g.constant(name, np.array(values, np.int64))

    x = conv(conv("mel", "conv1", 1), "conv2", 2)
    x = g.add("Transpose", [x], "rows", perm=[0, 2, 1])
    places = g.wide("positions", w["position_encodings/encodings"])
    count = g.add("Slice", [g.add("Shape", ["rows"], "shape"), ints("i1", 1), ints("i2", 2)], "count")
    x = g.add("Add", [x, g.add("Slice", [places, ints("i0", 0), count], "places")], "placed")
    for layer in range(LAYERS):
        p = f"layer_{layer}/"
        joint = linear(norm(x, p + "self_attention/layer_norm"), p + "self_attention/linear_0")
        parts = g.add("Reshape", [joint, ints("split", 1, -1, 3 * HEADS, SIZE // HEADS)], p + "parts")
        parts = g.add("Transpose", [parts], p + "heads", perm=[0, 2, 1, 3])
        q, k, v = (p + name for name in "qkv")
        g.nodes.append(helper.make_node("Split", [parts, ints("thirds", HEADS, HEADS, HEADS)], [q, k, v], axis=1))
        across = g.add("Transpose", [k], p + "kt", perm=[0, 1, 3, 2])
        scale = g.constant("scale", np.float32((SIZE // HEADS) ** -0.5))
        score = g.add("Mul", [g.add("MatMul", [q, across], p + "qk"), scale], p + "score")
        seen = g.add("MatMul", [g.add("Softmax", [score], p + "attention", axis=-1), v], p + "seen")
        seen = g.add("Transpose", [seen], p + "seen_rows", perm=[0, 2, 1, 3])
        seen = g.add("Reshape", [seen, ints("join", 1, -1, SIZE)], p + "joined")
        x = g.add("Add", [x, linear(seen, p + "self_attention/linear_1")], p + "attended")
        hidden = gelu(linear(norm(x, p + "ffn/layer_norm"), p + "ffn/linear_0"))
        last = "features" if layer == LAYERS - 1 else p + "out"
        x = g.add("Add", [x, linear(hidden, p + "ffn/linear_1")], last)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        g.nodes,
        "whisper_front",
        [value("mel", TensorProto.FLOAT, [1, BANDS, "columns"])],
        [value("features", TensorProto.FLOAT, [1, "rows", SIZE])],
        g.initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="lipflow")


def front(source):
    return build(weights(source))
