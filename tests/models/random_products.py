"""Families of random_operators.py: products, norms and what is made of them."""

import numpy as np
from random_draw import LEFT_OUT, Case, longs


def product(draw):
    batch, size = draw.wholes(draw.whole(0, 2), 1, 3), draw.whole(1, 5)
    a = draw.floats(size) if draw.once_in(4) else draw.floats(*batch, draw.whole(1, 4), size)
    tail = [draw.any_of(1, count) for count in batch][draw.whole(0, len(batch)) :]
    b = draw.floats(size) if draw.once_in(4) else draw.floats(*tail, size, draw.whole(1, 4))
    return Case("MatMul", [("a", a), ("b", b)], draw.any_of(("b",), ()))


def gemm(draw):
    c = ("c", draw.any_of(draw.floats(4), draw.floats(1), draw.floats(3, 1), draw.floats()))
    attributes = {"alpha": 0.5, "beta": draw.any_of(1.0, 2.0), "transB": draw.flag()}
    return Case("Gemm", [("a", draw.floats(3, 4)), ("b", draw.floats(4, 4)), c], draw.any_of(("b", "c"), ()), attributes)


def einsum(draw):
    equation = draw.any_of("ijk,kjl->il", "ijk,kji->", "ijk,kjl->ijl", "abc,cbd->dab", "ijk,kjl", "...k,k...->...")
    shapes = ((2, 3, 4), (4, 2, 3)) if "..." in equation else ((2, 3, 4), (4, 3, 2))
    return Case("Einsum", [("a", draw.floats(*shapes[0])), ("b", draw.floats(*shapes[1]))], (), {"equation": equation})


def layer_norm(draw):
    x = draw.floats(draw.whole(1, 2), 4, *draw.wholes(2, 1, 4))
    axis = draw.whole(-4, 3)
    operands = [("x", x), ("scale", draw.floats(*x.shape[axis:])), ("bias", draw.floats(*x.shape[axis:]))]
    outputs = draw.any_of(("y",), ("y", "mean", "deviation"))
    return Case("LayerNormalization", operands, ("scale", "bias"), {"axis": axis}, outputs, tolerance=1e-3)


def channel_norm(draw):
    x = draw.floats(draw.whole(1, 2), 4, *draw.wholes(2, 1, 4))
    operands = [("x", x), ("scale", draw.floats(4)), ("bias", draw.floats(4))]
    if draw.flag():
        groups = {"num_groups": draw.any_of(1, 2, 4)}
        return Case("GroupNormalization", operands, ("scale", "bias"), groups, opset=21, tolerance=1e-3)
    return Case("InstanceNormalization", operands, ("scale", "bias"), tolerance=1e-3)


def batch_norm(draw):
    shape = draw.any_of((2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 2, 2))
    variance = (draw.random.random(3) + 0.1).astype(np.float32)
    known = [("scale", draw.floats(3)), ("bias", draw.floats(3)), ("mean", draw.floats(3)), ("variance", variance)]
    constants = draw.any_of([name for name, _ in known], [])
    return Case("BatchNormalization", [("x", draw.floats(*shape)), *known], constants, {"epsilon": 1e-3})


def softmax(draw):
    axis = {"axis": draw.whole(-3, 2)}
    return Case(draw.any_of("Softmax", "LogSoftmax", "Hardmax"), [("x", draw.floats(2, 3, 4))], (), axis, opset=draw.any_of(11, 13))


def other_norm(draw):
    if draw.flag():
        sizes = {"size": draw.whole(1, 5), "alpha": 0.3, "beta": 0.6, "bias": 1.5}
        return Case("LRN", [("x", draw.floats(1, draw.whole(1, 6), 3, 3))], (), sizes)
    attributes = {"axis": draw.whole(-4, 3), "p": draw.whole(1, 2)}
    return Case("LpNormalization", [("x", draw.floats(2, 4, 3, 2))], (), attributes)


def integer_product(draw):
    operands = [("a", draw.integers(0, 254, np.uint8, 3, 4)), ("b", draw.integers(-127, 126, np.int8, 4, 5))]
    operands.append(draw.any_of(LEFT_OUT, ("a_zero", np.array(draw.whole(0, 254), np.uint8))))
    operands.append(draw.any_of(LEFT_OUT, ("b_zero", draw.integers(-20, 20, np.int8, 5))))
    return Case("MatMulInteger", operands, ("b", "a_zero", "b_zero"))


def integer_convolution(draw):
    operands = [("x", draw.integers(0, 254, np.uint8, 1, 4, 5, 5)), ("w", draw.integers(-127, 126, np.int8, 3, 4, 3, 3))]
    operands.append(draw.any_of(LEFT_OUT, ("x_zero", np.array(draw.whole(0, 254), np.uint8))))
    return Case("ConvInteger", operands, ("w", "x_zero"), {"pads": [1] * 4, "dilations": draw.wholes(2, 1, 2)})


def quantized_product(draw):
    operands = [
        ("a", draw.integers(0, 254, np.uint8, 2, 3, 4)),
        ("a_scale", draw.scales()),
        ("a_zero", np.array(9, np.uint8)),
        ("b", draw.integers(-127, 126, np.int8, 4, 5)),
        ("b_scale", draw.scales(5)),
        ("b_zero", np.zeros(5, np.int8)),
        ("y_scale", np.array(0.1, np.float32)),
        ("y_zero", np.array(100, np.uint8)),
    ]
    return Case("QLinearMatMul", operands, [name for name, _ in operands[1:]], tolerance=1.01)


def own_range(draw):
    x = draw.floats(draw.whole(1, 8), 3) * draw.any_of(0.1, 1, 50) + draw.any_of(0, 5, -5)
    return Case("DynamicQuantizeLinear", [("x", x.astype(np.float32))], (), {}, ("y", "scale", "zero"), tolerance=1.01)


def fourier(draw):
    x = draw.floats(2, draw.whole(2, 8), draw.any_of(1, 2))
    inverse = 0 if x.shape[-1] == 1 else draw.flag()
    attributes = {"inverse": inverse, "onesided": draw.flag() if x.shape[-1] == 1 else 0}
    operands = [("x", x), draw.any_of(LEFT_OUT, ("length", longs(draw.whole(1, 9)))), ("axis", longs(1))]
    return Case("DFT", operands, ("length", "axis"), attributes, opset=20, tolerance=1e-3)


FAMILIES = (
    product,
    gemm,
    einsum,
    layer_norm,
    channel_norm,
    batch_norm,
    softmax,
    other_norm,
    integer_product,
    integer_convolution,
    quantized_product,
    own_range,
    fourier,
)
