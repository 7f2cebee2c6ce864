"""Families of random_operators.py: operators that move a window over an image, or take it elsewhere."""

import numpy as np
from random_draw import LEFT_OUT, Case, longs


def window(draw, dims, pads_below, dilated=True):
    """Attributes of a window of `dims` dimensions: pads as numbers or by rule."""
    attributes = {"strides": draw.wholes(dims, 1, 3)}
    if dilated:
        attributes["dilations"] = draw.wholes(dims, 1, 2)
    if draw.once_in(3):
        attributes["auto_pad"] = draw.any_of("SAME_UPPER", "SAME_LOWER", "VALID")
    else:
        attributes["pads"] = [draw.whole(0, pads_below[i % dims] - 1) for i in range(2 * dims)]
    return attributes


def leaves_gaps(strides, kernel):
    """Such windows need fewer pads than none to come to the standard's sizes, which ONNX Runtime takes at their word."""
    return any(stride > size for stride, size in zip(strides, kernel))


def resize(draw):
    """Scales come to whole sizes: of others the standard divides by the size before it is rounded, ONNX Runtime by it after."""
    rank = draw.any_of(3, 4, 4)
    x = draw.floats(draw.whole(1, 2), draw.whole(1, 3), *[2 * size for size in draw.wholes(rank - 2, 1, 3)])
    attributes = {
        "mode": draw.any_of("nearest", "linear", "cubic" if rank == 4 else "linear"),
        "coordinate_transformation_mode": draw.any_of(
            "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric", "tf_crop_and_resize"
        ),
    }
    if attributes["mode"] == "nearest":
        attributes["nearest_mode"] = draw.any_of("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    elif draw.once_in(3) and attributes["coordinate_transformation_mode"] != "tf_crop_and_resize":
        attributes["antialias"] = 1
    if attributes["mode"] == "cubic":
        attributes.update(cubic_coeff_a=draw.any_of(-0.75, -0.5), exclude_outside=draw.flag())
    region = LEFT_OUT
    if attributes["coordinate_transformation_mode"] == "tf_crop_and_resize":
        first, end = draw.any_of(0.13, 0.21), draw.any_of(0.77, 0.89)
        region = ("region", np.array([0, 0] + [first] * (rank - 2) + [1, 1] + [end] * (rank - 2), np.float32))
        attributes["extrapolation_value"] = 2.0
    if draw.flag():
        target = [("scales", np.array([1, 1] + [draw.any_of(0.5, 1, 1.5, 2, 3) for _ in range(rank - 2)], np.float32))]
    else:
        target = [LEFT_OUT, ("sizes", longs(list(x.shape[:2]) + draw.wholes(rank - 2, 1, 8)))]
    return Case("Resize", [("x", x), region, *target], ("region", "scales", "sizes"), attributes)


def pad(draw):
    rank = draw.whole(1, 4)
    x = draw.floats(*draw.wholes(rank, 3, 5))
    pads = [("pads", longs(draw.wholes(2 * rank, -1, 2))), ("value", np.array(1.5, np.float32))]
    mode = draw.any_of("constant", "reflect", "edge", "wrap")
    return Case("Pad", [("x", x), *pads], ("pads", "value"), {"mode": mode}, opset=19 if mode == "wrap" else draw.any_of(13, 18))


def pool(draw):
    """Pads by rule are of windows without dilations: of others ONNX Runtime answers other sizes than the standard's."""
    dims = draw.any_of(1, 2, 2, 3)
    kernel = draw.wholes(dims, 1, 3)
    op = draw.any_of("AveragePool", "MaxPool", "LpPool")
    attributes = {"kernel_shape": kernel, "ceil_mode": draw.flag(), **window(draw, dims, kernel, draw.once_in(3))}
    if leaves_gaps(attributes["strides"], kernel):
        attributes.pop("auto_pad", None)
    if attributes.get("auto_pad", "").startswith("SAME"):
        attributes.pop("dilations", None)
    if op == "AveragePool":
        attributes["count_include_pad"] = draw.flag()
    if op == "LpPool":
        attributes["p"] = draw.whole(1, 3)
    opset = {"LpPool": 18, "AveragePool": 19}.get(op) or draw.any_of(12, 19, 22)
    outputs = ("y", "places") if op == "MaxPool" and draw.flag() else ("y",)
    return Case(op, [("x", draw.floats(1, 2, *draw.wholes(dims, 5, 8)))], (), attributes, outputs, opset)


def convolution(draw):
    dims, groups = draw.any_of(1, 2, 2, 3), draw.any_of(1, 1, 2, 3)
    channels, kernel = groups * draw.whole(1, 3), draw.wholes(dims, 1, 3)
    x = draw.floats(draw.whole(1, 2), channels, *draw.wholes(dims, 5, 8))
    made = groups * draw.whole(1, 3)
    operands = [("x", x), ("w", draw.floats(made, channels // groups, *kernel)), draw.any_of(LEFT_OUT, ("b", draw.floats(made)))]
    attributes = {"group": groups, **window(draw, dims, [3] * dims)}
    return Case("Conv", operands, draw.any_of(("w", "b"), ()), attributes)


def deconvolution(draw):
    dims, groups = draw.any_of(1, 2, 2), draw.any_of(1, 1, 2)
    channels, strides = groups * draw.whole(1, 3), draw.wholes(dims, 1, 3)
    x = draw.floats(draw.whole(1, 2), channels, *draw.wholes(dims, 2, 5))
    attributes = {"group": groups, **window(draw, dims, [2] * dims), "strides": strides}
    if draw.once_in(4):
        attributes.pop("auto_pad", None)
        attributes.pop("pads", None)
        attributes["output_shape"] = [size * stride + draw.flag() for size, stride in zip(x.shape[2:], strides)]
    if draw.once_in(3):
        attributes["output_padding"] = [draw.whole(0, stride - 1) for stride in strides]
    w = draw.floats(channels, draw.whole(1, 3), *draw.wholes(dims, 1, 3))
    if leaves_gaps(strides, w.shape[2:]):
        attributes.pop("auto_pad", None)
    return Case("ConvTranspose", [("x", x), ("w", w)], draw.any_of(("w",), ()), attributes)


def grid_sample(draw):
    grid = (draw.random.random((1, draw.whole(1, 4), draw.whole(1, 4), 2)) * 2.6 - 1.3).astype(np.float32)
    attributes = {
        "mode": draw.any_of("linear", "nearest", "cubic"),
        "padding_mode": draw.any_of("zeros", "border", "reflection"),
        "align_corners": draw.flag(),
    }
    operands = [("x", draw.floats(1, 2, *draw.wholes(2, 2, 5))), ("grid", grid)]
    return Case("GridSample", operands, (), attributes, opset=20, tolerance=1e-3)


def roi_align(draw):
    count = draw.whole(1, 3)
    boxes = np.sort(draw.random.random((count, 2, 2)) * 8, axis=1).reshape(count, 4).astype(np.float32)
    operands = [("x", draw.floats(2, 2, *draw.wholes(2, 4, 8))), ("boxes", boxes), ("of", draw.integers(0, 1, np.int64, count))]
    attributes = {
        "mode": draw.any_of("avg", "max"),
        "output_height": draw.whole(1, 3),
        "output_width": draw.whole(1, 3),
        "sampling_ratio": draw.whole(0, 2),
        "spatial_scale": draw.any_of(0.5, 1.0),
        "coordinate_transformation_mode": draw.any_of("half_pixel", "output_half_pixel"),
    }
    return Case("RoiAlign", operands, (), attributes)


def space_and_depth(draw):
    block = draw.any_of(2, 3)
    if draw.flag():
        x = draw.floats(1, block * block * draw.whole(1, 2), 2, 3)
        return Case("DepthToSpace", [("x", x)], (), {"blocksize": block, "mode": draw.any_of("DCR", "CRD")})
    return Case("SpaceToDepth", [("x", draw.floats(1, 2, 2 * block, 3 * block))], (), {"blocksize": block})


def quantized_convolution(draw):
    groups, per_channel, kind = draw.any_of(1, 2), draw.flag(), draw.any_of(np.int8, np.uint8)
    shape = (4,) if per_channel else ()
    operands = [
        ("x", draw.integers(0, 254, np.uint8, 1, 4, 5, 5)),
        ("x_scale", draw.scales()),
        ("x_zero", np.array(draw.whole(0, 254), np.uint8)),
        ("w", draw.integers(0 if kind == np.uint8 else -127, 126, kind, 4, 4 // groups, 3, 3)),
        ("w_scale", draw.scales(*shape)),
        ("w_zero", np.zeros(shape, kind)),
        ("y_scale", np.array(0.5, np.float32)),
        ("y_zero", np.array(draw.whole(0, 254), np.uint8)),
        draw.any_of(LEFT_OUT, ("b", draw.integers(-500, 500, np.int32, 4))),
    ]
    attributes = {"pads": [1] * 4, "group": groups, "strides": draw.wholes(2, 1, 2)}
    constants = [name for name, _ in operands[1:]]
    return Case("QLinearConv", operands, constants, attributes, tolerance=1.01)  # a step, where it falls between two


FAMILIES = (
    resize,
    pad,
    pool,
    convolution,
    deconvolution,
    grid_sample,
    roi_align,
    space_and_depth,
    quantized_convolution,
)
