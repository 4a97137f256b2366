"""Writes the tiny networks beside this file that the tests run: real ONNX, next to no weights.

    python -m venv v && v/bin/pip install onnx==1.23.2 numpy==2.4.6 onnxruntime
    v/bin/python make_models.py

What must come out is easy to say: the generators paint the lower half with the mean of the mel, the
mouth shapes are weighted bands, smoothed over three columns.
"""
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, load, numpy_helper, save

FOLDER = Path(__file__).parent
FLOAT = TensorProto.FLOAT


def tensor(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, values):
    return numpy_helper.from_array(np.asarray(values), name)


def write(name, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    save(model, FOLDER / f"{name}.onnx")
    print(name, (FOLDER / f"{name}.onnx").stat().st_size)


def half(name):
    """The network `name` in half precision, as it would be exported for an accelerator."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    save(convert_float_to_float16(load(FOLDER / f"{name}.onnx")), FOLDER / f"{name}_half.onnx")


def generator(name, crop, batch="b", names=("mel_spectrogram", "video_frames"), channels=6, weight=False,
              free=False):
    """The masked copy, and in the lower half a quarter of the full crop and the mean of the mel."""
    mel, face = names
    lower = np.zeros((1, 1, crop, 1), np.float32)
    lower[:, :, crop // 2:] = 1
    initializers = [constant("lower", lower), constant("quarter", np.float32(0.25))]
    nodes = [helper.make_node("ReduceMean", [mel], ["mean"], axes=[1, 2, 3], keepdims=1)]
    if channels == 6:
        nodes.append(helper.make_node("Split", [face], ["masked", "full"], axis=1))
    else:
        nodes += [helper.make_node("Identity", [face], ["masked"]),
                  helper.make_node("Identity", [face], ["full"])]
    if weight:
        nodes.append(helper.make_node("Mul", ["mean", "weight"], ["tone"]))
    nodes += [
        helper.make_node("Mul", ["full", "quarter"], ["ghost"]),
        helper.make_node("Add", ["ghost", "tone" if weight else "mean"], ["mixed"]),
        helper.make_node("Mul", ["mixed", "lower"], ["paint"]),
        helper.make_node("Add", ["masked", "paint"], ["out"]),
    ]
    inputs = [tensor(mel, [batch, 1, 80, 16]), tensor(face, [batch, channels, crop, crop])]
    if free:
        inputs = [tensor(mel, ["b", "c", "m", "t"]), tensor(face, ["b", "d", "h", "w"])]
    if weight:
        inputs.append(tensor("weight", [1]))
    write(name, nodes, inputs, [tensor("out", [batch, 3, crop, crop])], initializers)


def mouth_shape(name, columns="t", parameters=3, bands=80, pad=1, out_columns=None):
    """Parameter p is 0.1 (p + 1) times band 10 p, smoothed over three columns."""
    weights = np.zeros((parameters, bands, 3), np.float32)
    for p in range(parameters):
        weights[p, 10 * p] = 0.1 * (p + 1) * np.float32([0.25, 0.5, 0.25])
    nodes = [helper.make_node("Conv", ["mel", "weights"], ["mouth"], kernel_shape=[3], pads=[pad, pad])]
    write(name, nodes, [tensor("mel", [1, bands, columns])],
          [tensor("mouth", [1, parameters, out_columns or columns])], [constant("weights", weights)])


def front():
    """Bands 0, 10 and 20, each pair of columns added up: mel [1, 80, 2 n] -> features [1, n, 3]."""
    weights = np.zeros((3, 80, 2), np.float32)
    for k in range(3):
        weights[k, 10 * k] = 1
    nodes = [helper.make_node("Conv", ["mel", "weights"], ["bands"], kernel_shape=[2], strides=[2]),
             helper.make_node("Transpose", ["bands"], ["features"], perm=[0, 2, 1])]
    write("front", nodes, [tensor("mel", [1, 80, "t"])], [tensor("features", [1, "n", 3])],
          [constant("weights", weights)])


def head():
    """A tenth of each feature, a row for each row."""
    nodes = [helper.make_node("Transpose", ["features"], ["rows"], perm=[0, 2, 1]),
             helper.make_node("Mul", ["rows", "tenth"], ["mouth"])]
    write("head_free", nodes, [tensor("features", [1, "n", 3])], [tensor("mouth", [1, 3, "n"])],
          [constant("tenth", np.float32(0.1))])


generator("generator_8", 8)
generator("generator_96", 96, names=("source", "target"))
generator("generator_8_batch_1", 8, batch=1, names=("audio", "images"))
generator("generator_8_free", 8, free=True)
generator("generator_8_weight", 8, names=("source", "target"), channels=3, weight=True)
mouth_shape("mouth_free")
mouth_shape("mouth_fixed", columns=34)
mouth_shape("wrong_bands", bands=64)
# Declares nothing wrong, and gives two columns less than it was given.
mouth_shape("mouth_shrinks", pad=0, out_columns="u")
front()
head()

# Takes a picture and nothing else, as any other network would.
write("wrong_kind", [helper.make_node("Relu", ["x"], ["y"])],
      [tensor("x", [1, 3, 32, 32])], [tensor("y", [1, 3, 32, 32])])
# Double precision.
write("wrong_type", [helper.make_node("Identity", ["mel"], ["mouth"])],
      [tensor("mel", ["n", 80, "t"], TensorProto.DOUBLE)], [tensor("mouth", ["n", 3, "t"], TensorProto.DOUBLE)])
half("generator_8")
half("mouth_free")
# Not ONNX at all.
(FOLDER / "corrupt.onnx").write_bytes(b"This was an ONNX file once.\n" * 4)
