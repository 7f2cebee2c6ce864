"""Recipes written as ONNX, by either exporter."""

import contextlib
import io
import os

import torch
import transformers

from zoo_derived import DERIVED
from zoo_recipe import RECIPES, Outputs
from zoo_sequences import Logits

SIZES = {
    "batch": (2, 3),
    "seq": (9, 6),
    "seq2": (5, 8),
    "height": (64, 96),
    "width": (64, 80),
    "height32": (64, 96),
    "width32": (64, 160),
}
SIZES.update({"images": (1, 3), "length": (1200, 1777), "seq+1": (10, 7), "bag": (4, 7)})


def export_script(made, path):
    # Tracing folds tests of sizes away, so that sizes of one are not what it should see.
    torch.onnx.export(
        made.module,
        tuple(made.inputs.values()),
        path,
        input_names=list(made.inputs),
        dynamic_axes=made.axes,
        opset_version=made.opset or 17,
        dynamo=False,
    )


def export_dynamo(made, path):
    shapes = []
    for name, value in made.inputs.items():
        axes = made.axes.get(name, {})
        shapes.append({k: torch.export.Dim.DYNAMIC for k in axes} if axes else None)
        if axes and value.shape[0] == 1:
            made.inputs[name] = torch.cat([value, value])
    variadic = isinstance(made.module, (Logits, Outputs))
    torch.onnx.export(
        made.module,
        tuple(made.inputs.values()),
        path,
        input_names=list(made.inputs),
        dynamic_shapes=((tuple(shapes),) if variadic else tuple(shapes)) if made.axes else None,
        opset_version=made.opset,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


EXPORTERS = {"script": export_script, "dynamo": export_dynamo}


def make_recipe(name):
    torch.manual_seed(0)
    transformers.set_seed(0)
    return RECIPES[name]()


def export(name, exporter, folder):
    """The model's path; made once."""
    path = os.path.join(folder, f"{name}.{exporter}.onnx")
    failed = path + ".failed"
    if os.path.exists(failed):
        with open(failed, encoding="utf-8") as file:
            raise RuntimeError(file.read())
    if os.path.exists(path):
        return path
    try:
        with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            EXPORTERS[exporter](make_recipe(name), path + ".part")
        os.rename(path + ".part", path)
    except Exception as reason:  # whatever an exporter may raise
        message = f"not exported: {' '.join(str(reason).split())[:200]}"
        with open(failed, "w", encoding="utf-8") as file:
            file.write(message)
        raise RuntimeError(message) from reason
    return path


def derive(name, folder):
    made_from, change, kind, _ = DERIVED[name]
    source = export(made_from, "script", folder)
    path = os.path.join(folder, f"{name}.onnx")
    if not os.path.exists(path):
        change(source, path, make_recipe(made_from), kind)
    return path
