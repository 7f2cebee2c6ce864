"""Exported networks without their weights, for gpu_zoo.py: exports are made where there is time, and filled in on the machine with the card, where the
module is made anyway.

A tensor of the export that is one of the module's, as it is or turned, or times a number for each of its rows (what a normalization behind it became),
is left out, and its doc_string says which it was; the numbers for rows are kept as a tensor of their own.
"""
import numpy as np
import onnx
from onnx import numpy_helper

LEAST_BYTES = 4096
ROWS = ".rows"


def tensors_of(module):
    named = list(module.named_parameters()) + list(module.named_buffers())
    return {name: value.detach().cpu().numpy() for name, value in named if value.numel() * value.element_size() >= LEAST_BYTES}


def rows_between(value, made):
    """The number for each row of `made` that gives `value`, or None."""
    if value.shape != made.shape or value.dtype != np.float32:
        return None
    a, b = value.reshape(value.shape[0], -1).astype(np.float64), made.reshape(value.shape[0], -1).astype(np.float64)
    rows = (a * b).sum(1) / np.maximum((b * b).sum(1), 1e-300)
    return rows.astype(np.float32) if np.abs(a - rows[:, None] * b).max() <= 1e-5 * np.abs(a).max() else None


def find(value, tensors):
    """(name, how, numbers for rows) of the module's tensor that this one is."""
    for name, made in tensors.items():
        if made.shape == value.shape and np.array_equal(made, value):
            return name, "same", None
        if made.ndim == 2 and made.T.shape == value.shape and np.array_equal(made.T, value):
            return name, "turned", None
    for name, made in tensors.items():
        rows = rows_between(value, made)
        if rows is not None:
            return name, "rows", rows
    return None


def strip(path, module, to):
    """Writes what is left of the model; returns the bytes of tensors that are none of the module's."""
    model, tensors, kept = onnx.load(path), tensors_of(module), 0
    for tensor in list(model.graph.initializer):
        value = numpy_helper.to_array(tensor)
        found = find(value, tensors) if value.nbytes >= LEAST_BYTES else None
        if not found:
            kept += value.nbytes
            continue
        name, how, rows = found
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.doc_string = f"{how} {name}"
        if rows is not None:
            model.graph.initializer.append(numpy_helper.from_array(rows, tensor.name + ROWS))
    onnx.save(model, to)
    return kept


def fill(path, module, to):
    model, tensors = onnx.load(path), tensors_of(module)
    rows = {t.name[:-len(ROWS)]: numpy_helper.to_array(t) for t in model.graph.initializer if t.name.endswith(ROWS)}
    for tensor in list(model.graph.initializer):
        if tensor.name.endswith(ROWS):
            model.graph.initializer.remove(tensor)
        elif tensor.doc_string:
            how, name = tensor.doc_string.split(" ", 1)
            value = tensors[name].T if how == "turned" else tensors[name]
            if how == "rows":
                value = value * rows[tensor.name].reshape((-1,) + (1,) * (value.ndim - 1))
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), tensor.name))
    onnx.save(model, to)
