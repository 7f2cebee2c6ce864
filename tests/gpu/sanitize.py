#!/usr/bin/env python3
"""compute-sanitizer over small plans that together use every kernel generator.

usage: sanitize.py --work FOLDER [--device cuda:0] [--tools memcheck,racecheck] [--only NAME,...] [--jobs N] [--limit SECONDS] [--bare]

Small networks are made with the package onnx and built outside the sanitizer, without the libraries' tactics.  Under each tool the plan runs once,
and `planfarm cache retime --check` runs every candidate that the build timed, such as sums split over clusters.  A line for each: how many kernels of
which tactics, errors found, and behind it what the tool said.  --bare runs the same without the sanitizer: does the script work?
The exit status is 1 when something was found, failed, or was not covered.
"""
import argparse, concurrent.futures, glob, json, os, re, shutil, subprocess, sys, time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(7)
MODELS = {}     # name -> (tactics that its plan must have, function that makes it, tactics that it must do without, options of its precision)
FLOAT = TensorProto.FLOAT
PLACE = "values in wider ones"      # among the tactics of a model: its plan must have some
THREE = "three parts of BF16"       # likewise: its build must have left products in FP32 and taken them so


class Net:
    """A network as it grows: each call adds a node and answers the name of its output."""

    def __init__(self):
        self.nodes, self.inputs, self.weights = [], [], []

    def input(self, name, *shape):
        self.inputs.append(helper.make_tensor_value_info(name, FLOAT, shape))
        return name

    def weight(self, *shape, scale=1.0):
        array = (RANDOM.standard_normal(shape) * scale / np.sqrt(max(1, np.prod(shape[1:])))).astype(np.float32)
        return self.constant(array)

    def constant(self, value, kind=None):
        array = np.array(value, kind) if kind else np.asarray(value)
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *values):
        return self.constant(values, np.int64)

    def op(self, kind, *operands, outputs=1, domain="", **attributes):
        names = [f"{kind.lower()}{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(operands), names, name=names[0], domain=domain, **attributes))
        return names if outputs > 1 else names[0]

    def save(self, path, outputs):
        infos = [helper.make_empty_tensor_value_info(name) for name in outputs]
        graph = helper.make_graph(self.nodes, os.path.basename(path), self.inputs, infos, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.save(onnx.shape_inference.infer_shapes(model), path)


def model(name, *tactics, without=(), precision="--fp16"):
    def add(make):
        MODELS[name] = (tactics, make, without, precision)
        return make
    return add


def gelu(net, x):
    half = net.op("Mul", x, net.constant(0.5, np.float32))
    erf = net.op("Erf", net.op("Div", x, net.constant(np.sqrt(2.0), np.float32)))
    return net.op("Mul", half, net.op("Add", erf, net.constant(1.0, np.float32)))


@model("feed_forward", "nvrtc_matmul", without=("nvrtc_wgmma",))
def feed_forward(net):
    x = net.input("x", 2, 72, 256)
    rise = gelu(net, net.op("Add", net.op("MatMul", x, net.weight(256, 1024)), net.weight(1024)))
    fall = net.op("Add", net.op("MatMul", rise, net.weight(1024, 256)), net.weight(256))
    return [net.op("Add", fall, x)]


@model("warp_groups", "nvrtc_wgmma", without=("nvrtc_matmul",))
def warp_groups(net):
    x = net.input("x", 2, 101, 256)
    rise = gelu(net, net.op("Add", net.op("MatMul", x, net.weight(256, 1000)), net.weight(1000)))
    fall = net.op("Add", net.op("Add", net.op("MatMul", rise, net.weight(1000, 256)), net.weight(256)), x)
    return [fall, net.op("Gemm", net.input("y", 150, 256), net.weight(83, 256), transB=1)]


def gated(net, rows):
    x = net.op("Relu", net.input("x", rows, 128))
    rise, gate = (net.op("MatMul", x, net.weight(128, 344)) for _ in range(2))
    return net.op("Mul", net.op("Mul", gate, net.op("Sigmoid", gate)), rise)


@model("gated", "nvrtc_matmul", without=("nvrtc_wgmma",))
def few_gated(net):
    y = gated(net, 70)
    return [net.op("MatMul", y, net.weight(344, 64))]


@model("gated_by_warp_groups", "nvrtc_wgmma", without=("nvrtc_matmul",))
def many_gated(net):
    y = gated(net, 150)
    return [net.op("MatMul", y, net.weight(344, 64))]


@model("one_row", "nvrtc_matmul")
def one_row(net):
    x = net.input("x", 1, 2048)
    return [net.op("Gemm", x, net.weight(1000, 2048), net.weight(1000), transB=1)]


@model("odd_rows", "nvrtc_matmul")
def odd_rows(net):
    x = net.input("x", 24, 128)
    return [net.op("Gemm", x, net.weight(1003, 128), net.weight(1003), transB=1)]


@model("odd_rows_by_warp_groups", "nvrtc_wgmma", without=("nvrtc_matmul",))
def many_odd_rows(net):
    x, y = net.input("x", 150, 128), net.input("y", 150, 128)
    some = net.op("Relu", net.op("Gemm", x, net.weight(331, 128), transB=1))
    return [net.op("Gemm", y, net.weight(1003, 128), transB=1), net.op("Softmax", some, axis=-1)]


@model("one_pixel", "nvrtc_matmul")
def one_pixel(net):
    x = net.input("x", 2, 64, 15, 13)
    y = net.op("Relu", net.op("Conv", x, net.weight(128, 64, 1, 1), net.weight(128), kernel_shape=[1, 1]))
    z = net.op("Add", net.op("Conv", y, net.weight(64, 128, 1, 1), net.weight(64), kernel_shape=[1, 1]), x)
    return [net.op("HardSwish", z)]


@model("many_rows", "nvrtc_thin", "nvrtc_window", without=("nvrtc_wgmma", "nvrtc_matmul"))
def many_rows(net):
    """A stem, one pixel and a window of several rows a thread."""
    x = net.input("x", 2, 3, 92, 96)
    y = net.op("Relu", net.op("Conv", x, net.weight(16, 3, 3, 3), net.weight(16), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]))
    y = net.op("HardSwish", net.op("Conv", y, net.weight(40, 16, 1, 1), net.weight(40), kernel_shape=[1, 1]))
    y = net.op("Conv", y, net.weight(40, 1, 5, 5), net.weight(40), kernel_shape=[5, 5], pads=[2, 2, 2, 2], group=40)
    return [net.op("Relu", net.op("Conv", y, net.weight(24, 40, 1, 1), net.weight(24), kernel_shape=[1, 1]))]


def heads(net, x, count, size, names):
    out = []
    for name in names:
        y = net.op("Add", net.op("MatMul", x, net.weight(count * size, count * size)), net.weight(count * size))
        y = net.op("Reshape", y, net.ints(0, 0, count, size))
        out.append(net.op("Transpose", y, perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3]))
    return out


def attend(net, q, k, v, size, mask=None):
    scores = net.op("Div", net.op("MatMul", q, k), net.constant(np.sqrt(float(size)), np.float32))
    if mask:
        scores = net.op("Add", scores, mask)
    return net.op("MatMul", net.op("Softmax", scores, axis=-1), v)


@model("attention", "nvrtc_attention")
def attention(net):
    x, mask = net.input("x", 2, 41, 256), net.input("mask", 2, 1, 1, 41)
    q, k, v = heads(net, x, 4, 64, "qkv")
    y = net.op("Transpose", attend(net, q, k, v, 64, mask), perm=[0, 2, 1, 3])
    return [net.op("Reshape", y, net.ints(0, 0, 256))]


@model("attention_odd", "nvrtc_attention")
def attention_odd(net):
    q, k, v = (net.input(name, *shape) for name, shape in (("q", (2, 3, 33, 80)), ("k", (2, 3, 70, 80)), ("v", (2, 3, 70, 80))))
    return [attend(net, q, net.op("Transpose", k, perm=[0, 1, 3, 2]), v, 80)]


@model("attention_of_many_keys", "nvrtc_attention")
def attention_of_many_keys(net):
    """Which take turns in shared memory, and end inside a tile."""
    q, k, v = (net.input(name, *shape) for name, shape in (("q", (1, 2, 70, 64)), ("k", (1, 2, 330, 64)), ("v", (1, 2, 330, 64))))
    return [attend(net, q, net.op("Transpose", k, perm=[0, 1, 3, 2]), v, 64)]


@model("short_rows", "nvrtc_row")
def short_rows(net):
    x, y = net.input("x", 3, 343, 40), net.input("y", 1031, 49)
    return [net.op("LayerNormalization", x, net.weight(40), net.weight(40), axis=-1, epsilon=1e-5), net.op("Softmax", y, axis=-1)]


@model("rows", "nvrtc_row")
def rows(net):
    x, y = net.input("x", 3, 37, 768), net.input("y", 5, 1000)
    normed = net.op("LayerNormalization", net.op("Add", x, x), net.weight(768), net.weight(768), axis=-1, epsilon=1e-5)
    square = net.op("ReduceMean", net.op("Mul", normed, normed), axes=[-1], keepdims=1)
    rms = net.op("Div", normed, net.op("Sqrt", net.op("Add", square, net.constant(1e-6, np.float32))))
    return [rms, net.op("Softmax", y, axis=-1), net.op("LogSoftmax", y, axis=-1), net.op("ReduceMax", x, axes=[2], keepdims=0)]


@model("columns", "nvrtc_column", "nvrtc_window", without=("nvrtc_row",))
def columns(net):
    x = net.input("x", 2, 48, 14, 14)
    y = net.op("Conv", x, net.weight(48, 1, 3, 3), net.weight(48), kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=48)
    mean = net.op("GlobalAveragePool", y)
    gate = net.op("HardSigmoid", mean)
    return [net.op("Mul", y, gate)]


@model("groups_of_channels", "nvrtc_group", "nvrtc_window", without=("nvrtc_row",))
def groups_of_channels(net):
    """Norms of channels, of an image alone and of one that is joined to another; pixels are no multiple of anything."""
    x = net.input("x", 2, 40, 13, 11)
    y = net.op("Conv", x, net.weight(40, 1, 3, 3), net.weight(40), kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=40)
    y = net.op("Relu", net.op("InstanceNormalization", y, net.weight(40), net.weight(40)))
    z = net.op("Conv", y, net.weight(40, 1, 5, 5), net.weight(40), kernel_shape=[5, 5], pads=[2, 2, 2, 2], group=40)
    normed = net.op("InstanceNormalization", net.op("Concat", z, x, axis=1), net.weight(80), net.weight(80))
    return [net.op("Conv", normed, net.weight(80, 1, 3, 3), net.weight(80), kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=80)]


@model("windows_of_many_taps", "nvrtc_window")
def windows_of_many_taps(net):
    """Round a product whose rows become an image again."""
    x = net.input("x", 2, 40, 15, 17)
    y = net.op("Conv", x, net.weight(40, 1, 7, 7), net.weight(40), kernel_shape=[7, 7], pads=[3, 3, 3, 3], group=40)
    y = net.op("Relu", net.op("MatMul", net.op("Transpose", y, perm=[0, 2, 3, 1]), net.weight(40, 160)))
    y = net.op("Add", net.op("Transpose", net.op("MatMul", y, net.weight(160, 40)), perm=[0, 3, 1, 2]), x)
    return [net.op("Conv", y, net.weight(40, 1, 5, 5), net.weight(40), kernel_shape=[5, 5], strides=[2, 2], pads=[2, 2, 2, 2], group=40)]


@model("windows", "nvrtc_window")
def windows(net):
    x = net.input("x", 2, 40, 19, 23)
    y = net.op("Conv", x, net.weight(40, 1, 5, 5), net.weight(40), kernel_shape=[5, 5], pads=[2, 2, 2, 2], strides=[2, 2], group=40)
    y = net.op("HardSwish", y)
    most = net.op("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    mean = net.op("AveragePool", y, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1], count_include_pad=0)
    return [most, mean]


@model("loops", "nvrtc_loop")
def loops(net):
    x, y = net.input("x", 3, 17, 33), net.input("y", 3, 5, 33)
    both = net.op("Concat", x, net.op("Sin", y), axis=1)
    turned = net.op("Transpose", both, perm=[2, 0, 1])
    part = net.op("Slice", turned, net.ints(1), net.ints(30), net.ints(0), net.ints(3))
    padded = net.op("Pad", part, net.ints(0, 1, 2, 0, 0, 3), net.constant(0.5, np.float32))
    taken = net.op("Gather", padded, net.ints(3, 0, 1, 3, 2), axis=1)
    chosen = net.op("Where", net.op("Greater", taken, net.constant(0.0, np.float32)), taken, net.op("Exp", net.op("Neg", net.op("Abs", taken))))
    return [net.op("Tanh", chosen), net.op("Expand", net.op("Unsqueeze", y, net.ints(1)), net.ints(3, 4, 5, 33))]


@model("resizes", "nvrtc_loop")
def resizes(net):
    x = net.input("x", 2, 12, 9, 11)
    size = net.ints(2, 12, 21, 30)
    out = []
    for mode in ({"mode": "nearest"}, {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
                 {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, {"mode": "cubic"}):
        out.append(net.op("Resize", net.op("Relu", x) if mode["mode"] == "nearest" else x, "", "", size, **mode))
    return out


@model("reductions")
def reductions(net):
    x = net.input("x", 6, 40, 30)
    return [net.op("ReduceSum", x, net.ints(1), keepdims=1), net.op("ReduceProd", net.op("Tanh", x), axes=[0], keepdims=0),
            net.op("ReduceMin", x, axes=[0, 2], keepdims=0), net.op("ReduceL2", x, axes=[0, 1, 2], keepdims=0),
            net.op("ArgMax", x, axis=1, keepdims=0)]


@model("experts", "nvrtc_line", "nvrtc_matmul", precision="--tf32")
def experts(net):
    """Scores, the two best, their shares scattered, and all experts' answers summed by them."""
    x = net.input("x", 24, 64)
    best, which = net.op("TopK", net.op("Softmax", net.op("MatMul", x, net.weight(64, 4)), axis=-1), net.ints(2), outputs=2, axis=-1)
    share = net.op("ScatterElements", net.constant(np.zeros((24, 4), np.float32)), which, best, axis=1)
    rise = gelu(net, net.op("MatMul", net.op("Expand", x, net.ints(4, 24, 64)), net.weight(4, 64, 96)))
    each = net.op("MatMul", rise, net.weight(4, 96, 64))
    weighted = net.op("Mul", each, net.op("Unsqueeze", net.op("Transpose", share, perm=[1, 0]), net.ints(2)))
    return [net.op("Add", x, net.op("ReduceSum", weighted, net.ints(0), keepdims=0))]


@model("parts", "nvrtc_matmul", precision="--tf32")
def parts(net):
    """FP32 in parts of BF16: one matrix with many, constants in rows and in columns of K, scores and sums of odd sizes."""
    x = net.input("x", 37, 64)
    rise = gelu(net, net.op("MatMul", x, net.weight(3, 64, 96)))
    fall = net.op("Gemm", net.op("ReduceSum", rise, net.ints(0), keepdims=0), net.weight(83, 96), net.weight(83), transB=1)
    q, k, v = (net.input(name, 2, 3, length, 80) for name, length in (("q", 33), ("k", 70), ("v", 70)))
    return [fall, attend(net, q, net.op("Transpose", k, perm=[0, 1, 3, 2]), v, 80)]


@model("three_parts", "nvrtc_matmul", "nvrtc_thin", THREE, without=("nvrtc_parts",), precision="--fp16 --max-error 1.5e-6")
def three_parts(net):
    """FP32 in three parts: thin products of a picture, one of them times factors of its channels, and one with tiles."""
    x = net.input("x", 1, 24, 80, 64)
    y = net.op("Relu", net.op("Conv", x, net.weight(40, 24, 1, 1), net.weight(40), kernel_shape=[1, 1]))
    y = net.op("Mul", y, net.input("factors", 1, 40, 1, 1))
    thin = net.op("Add", net.op("Conv", y, net.weight(24, 40, 1, 1), net.weight(24), kernel_shape=[1, 1]), x)
    return [thin, net.op("Gemm", net.input("rows", 37, 200), net.weight(83, 200), net.weight(83), transB=1)]


@model("three_parts_by_warp_groups", "nvrtc_parts", THREE, without=("nvrtc_matmul", "nvrtc_thin"), precision="--fp16 --max-error 1.5e-6")
def three_parts_by_warp_groups(net):
    """The same with tiles of many rows: columns that are no whole number of a tile's, sums that are split, and a short last step of them."""
    x = net.input("x", 1, 112, 15, 13)
    rise = net.op("Relu", net.op("Conv", x, net.weight(200, 112, 1, 1), net.weight(200), kernel_shape=[1, 1]))
    rise = net.op("Mul", rise, net.input("factors", 1, 200, 1, 1))
    fall = net.op("Add", net.op("Conv", rise, net.weight(112, 200, 1, 1), net.weight(112), kernel_shape=[1, 1]), x)
    return [fall, net.op("Gemm", net.input("rows", 137, 612), net.weight(84, 612), net.weight(84), transB=1)]


@model("parts_by_warp_groups", "nvrtc_parts", without=("nvrtc_matmul", "nvrtc_thin"), precision="--tf32")
def parts_by_warp_groups(net):
    x = net.input("x", 137, 612)
    return [net.op("Relu", net.op("Gemm", x, net.weight(612, 84), net.weight(84)))]


@model("parts_of_pictures", "nvrtc_matmul", "nvrtc_conv", without=("nvrtc_parts",), precision="--tf32")
def parts_of_pictures(net):
    x = net.input("x", 2, 24, 15, 13)
    y = net.op("Relu", net.op("Conv", x, net.weight(40, 24, 3, 3), net.weight(40), kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
    return [net.op("Add", net.op("Conv", y, net.weight(24, 40, 1, 1), net.weight(24), kernel_shape=[1, 1]), x)]


@model("convolutions", "nvrtc_conv")
def convolutions(net):
    x = net.input("x", 2, 3, 40, 36)
    stem = net.op("Relu", net.op("Conv", x, net.weight(40, 3, 7, 7), net.weight(40), kernel_shape=[7, 7], pads=[3, 3, 3, 3], strides=[2, 2]))
    y = net.op("Conv", stem, net.weight(40, 40, 3, 3), net.weight(40), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    y = net.op("Relu", net.op("Add", y, stem))
    return [net.op("Conv", y, net.weight(72, 40, 3, 3), net.weight(72), kernel_shape=[3, 3], pads=[1, 1, 2, 2], strides=[2, 2], dilations=[2, 2])]


@model("stems", "nvrtc_stem", without=("nvrtc_conv", "nvrtc_window"))
def stems(net):
    """Windows of seven, three and four pixels, of pictures of three, one and four channels."""
    x, y, z = net.input("x", 2, 3, 41, 37), net.input("y", 1, 1, 30, 50), net.input("z", 2, 4, 32, 48)
    first = net.op("Relu", net.op("Conv", x, net.weight(64, 3, 7, 7), net.weight(64), kernel_shape=[7, 7], pads=[3, 3, 3, 3], strides=[2, 2]))
    second = net.op("Conv", y, net.weight(24, 1, 3, 3), net.weight(24), kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 2])
    third = net.op("Conv", z, net.weight(144, 4, 4, 4), net.weight(144), kernel_shape=[4, 4], strides=[4, 4])
    return [first, net.op("HardSwish", second), third]


@model("stems_in_parts", "nvrtc_stem", without=("nvrtc_conv", "nvrtc_window"), precision="--tf32")
def stems_in_parts(net):
    x, y = net.input("x", 2, 3, 41, 37), net.input("y", 1, 1, 30, 50)
    first = net.op("Relu", net.op("Conv", x, net.weight(40, 3, 3, 3), net.weight(40), kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]))
    return [first, net.op("Conv", y, net.weight(24, 1, 5, 5), net.weight(24), kernel_shape=[5, 5], pads=[2, 2, 2, 2], strides=[1, 2])]


@model("stems_in_three_parts", "nvrtc_stem", THREE, without=("nvrtc_conv", "nvrtc_window"), precision="--fp16 --max-error 1.5e-6")
def stems_in_three_parts(net):
    return stems_in_parts(net)


@model("places", "nvrtc_conv", "nvrtc_window", PLACE)
def places(net):
    """Parts of images that are made where a concat has them, one concat in another, and a slice that is read there."""
    x = net.input("x", 2, 32, 15, 13)
    first = net.op("Relu", net.op("Conv", x, net.weight(64, 32, 1, 1), net.weight(64), kernel_shape=[1, 1]))
    second = net.op("Conv", x, net.weight(48, 32, 3, 3), net.weight(48), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    both = net.op("Concat", first, second, axis=1)
    third = net.op("Conv", both, net.weight(32, 112, 3, 3), net.weight(32), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    most = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
    whole = net.op("Concat", first, second, third, most, axis=1)
    wide = net.op("Conv", x, net.weight(80, 32, 1, 1), net.weight(80), kernel_shape=[1, 1])
    part = net.op("Slice", wide, net.ints(32), net.ints(80), net.ints(1))
    return [net.op("Conv", whole, net.weight(72, 176, 1, 1), net.weight(72), kernel_shape=[1, 1]),
            net.op("Conv", wide, net.weight(8, 80, 1, 1), net.weight(8), kernel_shape=[1, 1]),
            net.op("Conv", part, net.weight(16, 48, 3, 3), net.weight(16), kernel_shape=[3, 3], pads=[1, 1, 1, 1])]


@model("recurrent", "nvrtc_recurrent")
def recurrent(net):
    """In 16 bits, which clusters take."""
    x = net.op("MatMul", net.input("x", 9, 3, 64), net.weight(64, 40))
    both, _, _ = net.op("LSTM", x, net.weight(2, 4 * 123, 40), net.weight(2, 4 * 123, 123), net.weight(2, 8 * 123), outputs=3,
                        hidden_size=123, direction="bidirectional")
    states, last = net.op("GRU", x, net.weight(1, 3 * 40, 40), net.weight(1, 3 * 40, 40), net.weight(1, 6 * 40), outputs=2, hidden_size=40,
                          linear_before_reset=1)
    return [net.op("MatMul", net.op("Squeeze", states, net.ints(1)), net.weight(40, 16)), both, last]


@model("recurrent_wide", "nvrtc_recurrent", precision="--tf32")
def recurrent_wide(net):
    x = net.input("x", 5, 2, 20)
    states, last, cell = net.op("LSTM", x, net.weight(1, 4 * 24, 20), net.weight(1, 4 * 24, 24), net.weight(1, 8 * 24), outputs=3, hidden_size=24)
    return [states, last, cell, net.op("RNN", x, net.weight(1, 24, 20), net.weight(1, 24, 24), outputs=2, hidden_size=24)[1]]


@model("orders", "nvrtc_line")
def orders(net):
    x = net.input("x", 7, 500)
    values, places = net.op("TopK", x, net.ints(5), outputs=2, axis=-1)
    return [values, places, net.op("CumSum", x, net.constant(1, np.int64))]


@model("scattered_rows", "nvrtc_scatter", without=("nvrtc_loop",))
def scattered_rows(net):
    """By many indices, some of them equal: summed, and overwritten."""
    x, rows = net.input("x", 37, 70), net.input("rows", 300, 70)
    which = net.constant(RANDOM.integers(0, 37, (300, 1)), np.int64)
    return [net.op("ScatterND", x, which, rows, reduction="add"), net.op("ScatterND", x, which, rows)]


@model("scattered_elements", "nvrtc_loop")
def scattered_elements(net):
    x, which = net.input("x", 37, 70), net.constant(RANDOM.integers(0, 37, (3, 70)), np.int64)
    return [net.op("ScatterElements", x, which, net.input("few", 3, 70), axis=0)]


@model("samples", "nvrtc_loop")
def samples(net):
    x = net.input("x", 2, 6, 11, 13)
    sampled = net.op("GridSample", x, net.op("Tanh", net.input("grid", 2, 9, 10, 2)), mode="bilinear")
    most, places = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], outputs=2)
    norm = net.op("LpPool", x, kernel_shape=[2, 2], strides=[2, 2])
    return [sampled, most, places, norm]


# ---- Running

def planfarm(*words, before=(), limit=120):
    return subprocess.run([*before, "planfarm", *words, "--json"], capture_output=True, text=True, timeout=limit)


def find_sanitizer():
    found = shutil.which("compute-sanitizer")
    places = sorted(glob.glob("/usr/local/cuda*/bin/compute-sanitizer") + glob.glob("/usr/local/cuda*/compute-sanitizer/compute-sanitizer"))
    return found or (places[-1] if places else None)


class Case:
    def __init__(self, args, name):
        self.args, self.name = args, name
        self.plan, self.cache, self.onnx = (os.path.join(args.work, f"{name}.{end}") for end in ("plan", "cache", "onnx"))
        self.tactics = {}

    def build(self):
        """The reason when it fails."""
        net = Net()
        net.save(self.onnx, MODELS[self.name][1](net))
        shutil.rmtree(self.cache, ignore_errors=True)
        without = ",".join("-" + tactic for tactic in ("cudnn_conv", "cublaslt_matmul", *MODELS[self.name][2]))
        words = [*MODELS[self.name][3].split(), "--tactics", without] if self.args.device.startswith("cuda") else []
        done = planfarm("build", self.onnx, "-o", self.plan, "--device", self.args.device, "--cache", self.cache, "--effort", str(self.args.effort), *words)
        if done.returncode:
            return done.stderr.strip()[-400:]
        if "in three parts" in json.loads(done.stdout).get("fp32", ""):
            self.tactics[THREE] = 1
        for layer in json.loads(planfarm("inspect", self.plan).stdout)["layers"]:
            for name in [layer["tactic"]] + [PLACE for value in layer["inputs"] + layer["outputs"] if ":" in value["layout"]]:
                self.tactics[name] = self.tactics.get(name, 0) + 1
        return None

    def missing(self):
        return [tactic for tactic in MODELS[self.name][0] if tactic not in self.tactics and self.args.device.startswith("cuda")]

    def commands(self):
        yield "plan", ["run", self.plan, "--device", self.args.device]
        yield "candidates", ["cache", "retime", self.plan, "--cache", self.cache, "--device", self.args.device, "--check", "--problems", "100"]


BOILERPLATE = ("COMPUTE-SANITIZER", "Program hit", "SUMMARY", "Target application returned", "LEAK SUMMARY")


def findings(text):
    """How many the tool counted (None: it never came to its summary), and what it said."""
    counts = [int(n) for n in re.findall(r"SUMMARY: (\d+)", text)]
    lines = [line for line in text.splitlines() if line.startswith("=========")]
    said = [line for line in lines if line.strip("= ") and not any(word in line for word in BOILERPLATE)]
    return (sum(counts) if counts else None), said


def check(args, sanitizer, case, tool, what, words):
    before = [sanitizer, "--tool", tool, "--target-processes", "application-only", "--print-limit", "10"] if sanitizer else []
    start = time.time()
    try:
        done = planfarm(*words, before=before, limit=args.limit)
    except subprocess.TimeoutExpired:
        return False, f"{case.name} {tool} {what}: not done after {args.limit:.0f} s", []
    text = done.stdout + "\n" + done.stderr
    open(os.path.join(args.work, f"{case.name}.{tool}.{what}.log"), "w").write(text)
    count, said = findings(text) if sanitizer else (0, [])
    good = done.returncode == 0 and count == 0
    reason = "" if done.returncode == 0 else f", exit {done.returncode}: {[l for l in done.stderr.splitlines() if not l.startswith('=')][-1:]}"
    return good, f"{case.name} {tool} {what}: {count} found{reason} in {time.time() - start:.1f} s", [] if good else said[:30]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--work", required=True)
    p.add_argument("--device", default="cuda:0")
    p.add_argument("--tools", default="memcheck,racecheck")
    p.add_argument("--only", default="")
    p.add_argument("--effort", type=int, default=1)
    p.add_argument("--jobs", type=int, default=6)
    p.add_argument("--limit", type=float, default=90)
    p.add_argument("--bare", action="store_true")
    args = p.parse_args()
    os.makedirs(args.work, exist_ok=True)
    sanitizer = None if args.bare else find_sanitizer()
    if not sanitizer and not args.bare:
        sys.exit("compute-sanitizer is not here; it comes with the CUDA toolkit")
    cases, bad = [], 0
    for name in args.only.split(",") if args.only else MODELS:
        case = Case(args, name)
        reason = case.build()
        print(f"built {name}: " + (reason or ", ".join(f"{tactic} {n}" for tactic, n in sorted(case.tactics.items()))) +
              (f"; NOT COVERED: {', '.join(case.missing())}" if not reason and case.missing() else ""), flush=True)
        bad += reason is not None or bool(case.missing())
        if not reason:
            cases.append(case)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        runs = [pool.submit(check, args, sanitizer, case, tool, what, words)
                for tool in args.tools.split(",") for case in cases for what, words in case.commands()]
        for run in runs:
            good, line, said = run.result()
            bad += not good
            print("\n".join([("ok    " if good else "FOUND ") + line, *said]), flush=True)
    print(f"{len(runs)} runs, {bad} of them or of the builds are bad")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
