"""What a network of the zoo is made from, and what the recipes share."""

import numpy as np
import torch
from torch import nn

RECIPES = {}
BATCH = {"input": {0: "batch"}}
BATCH_SIZE = {"input": {0: "batch", 2: "height", 3: "width"}}
ATTENTION = {}  # how attention is written: PyTorch's operator unless an old opset needs it in pieces


class Recipe:
    """What to export: a module, its inputs by name, and which of their axes have which names."""

    def __init__(self, module, inputs, axes=None, exporters=("script", "dynamo"), opset=None, limit="fp32"):
        self.module, self.inputs, self.axes = module.eval(), inputs, axes or {}
        self.exporters, self.opset, self.limit = exporters, opset, limit


def recipe(function):
    RECIPES[function.__name__] = function
    return function


def settle(module, *inputs):
    """Scales the weights of each layer to give values of size one, in the order in which the layers are reached."""
    done, handles = set(), []

    def scale(layer, inputs, out):
        size = out.std().item()
        if layer in done or not size > 0:
            return out
        done.add(layer)
        layer.weight.div_(size)
        return layer.forward(*inputs)

    for layer in module.eval().modules():
        if isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd)):
            if not layer.weight.any():
                nn.init.normal_(layer.weight)
            handles.append(layer.register_forward_hook(scale))
    with torch.no_grad():
        module(*inputs)
    for handle in handles:
        handle.remove()
    return module


def picture(size, channels=3, batch=1):
    return torch.randn(batch, channels, size, size)


class Outputs(nn.Module):
    """A network whose outputs come in a dict or another object, as a tuple of tensors."""

    def __init__(self, module, *names, **options):
        super().__init__()
        self.module, self.names, self.options = module, names, options

    def forward(self, *inputs):
        out = self.module(*inputs, **self.options)
        return tuple(out[n] if isinstance(out, dict) else getattr(out, n) for n in self.names)


def like(tensor, generator):
    """Another value of the same kind and shape."""
    value = tensor.numpy() if isinstance(tensor, torch.Tensor) else tensor
    if value.dtype == np.bool_ or (value.size and value.dtype != np.float32 and (value == 1).all()):
        return value
    if np.issubdtype(value.dtype, np.floating):
        return generator.standard_normal(value.shape).astype(value.dtype)
    return generator.integers(3, 99, value.shape).astype(value.dtype) if value.ndim else value
