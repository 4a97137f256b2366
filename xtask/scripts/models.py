"""Turns the helper models from the form they are published in into the form lipflow loads.

usage: models.py detector IN.onnx OUT.onnx | models.py mesh IN.tflite OUT.onnx | models.py front IN.bin OUT.onnx

The result is the same to the byte on every machine, so that its sha256 can be pinned.
"""

import sys

import onnx


def detector(source):
    """YuNet is published with a fixed input of 640x640; the network itself takes any multiple of 32."""
    model = onnx.load(source)
    shape = model.graph.input[0].type.tensor_type.shape
    shape.dim[2].dim_param = "height"
    shape.dim[3].dim_param = "width"
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = "n_" + output.name
    del model.graph.value_info[:]
    return model


def mesh(source, scratch):
    import tflite2onnx

    tflite2onnx.convert(source, scratch)
    model = onnx.load(scratch)
    # The converter writes these in the order of a set, which differs from run to run.
    for entries in (model.graph.initializer, model.graph.value_info):
        ordered = sorted(entries, key=lambda entry: entry.name)
        del entries[:]
        entries.extend(ordered)
    return model


def front(source):
    import speech_front

    return speech_front.front(source)


kind, source, target = sys.argv[1:]
model = {"detector": detector, "mesh": lambda source: mesh(source, target), "front": front}[kind](source)
onnx.checker.check_model(model)
onnx.save(model, target)
