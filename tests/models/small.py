#!/usr/bin/env python3
"""Compares planfarm's references with ONNX Runtime on small models of operators that the standard's own node tests leave
out: those of com.microsoft, control flow whose states change their size, and sizes that data decides.

usage: small.py [--planfarm BINARY] [PATTERN]

The exit status is 1 when a case differs or fails, and 77 when ONNX Runtime is not there.
"""

import argparse
import sys

try:
    import numpy as np
    import onnxruntime
    from onnx import helper, numpy_helper
except ImportError as problem:
    print(f"skipped: {problem}; ops/setup --tests installs it")
    sys.exit(77)

import single_model

RANDOM = np.random.default_rng(1)
CASES = []


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def integers(low, high, kind, *shape):
    return RANDOM.integers(low, high, shape).astype(kind)


def bytes_of(*shape):
    return integers(0, 256, np.uint8, *shape)


def scale(value):
    return np.array(value, np.float32)


def zero(value, kind=np.uint8):
    return np.array(value, kind)


def value_info(name, array):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def add(name, graph, feeds, tolerance, opset=17):
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 8
    CASES.append((name, model, feeds, tolerance))


def op(
    name, operands, constants=(), attributes=None, outputs=("y",), domain="com.microsoft", tolerance=1e-4, compared=None
):
    """One node. operands: (name, array) in order, "" for one left out; those named in constants are initializers. compared: some of the outputs, else all."""
    node = helper.make_node(name, [n for n, _ in operands], list(outputs), domain=domain, **(attributes or {}))
    given = {n: a for n, a in operands if n}
    inputs = [value_info(n, a) for n, a in given.items() if n not in constants]
    weights = [numpy_helper.from_array(given[n], n) for n in constants]
    shown = [helper.make_empty_tensor_value_info(o) for o in compared or outputs if o]
    add(
        name,
        helper.make_graph([node], "g", inputs, shown, weights),
        [{n: a for n, a in given.items() if n not in constants}],
        tolerance,
    )


def fused():
    op("FusedMatMul", [("a", floats(2, 3, 4)), ("b", floats(5, 4))], ["b"], {"alpha": 0.5, "transB": 1})
    op("Gelu", [("a", floats(3, 4))])
    op("FastGelu", [("a", floats(3, 4)), ("b", floats(4))])
    op("BiasGelu", [("a", floats(3, 4)), ("b", floats(4))])
    tables = [("word", floats(9, 4)), ("position", floats(5, 4)), ("segment", floats(2, 4)), ("g", floats(4)), ("h", floats(4))]
    ids, mask = integers(0, 9, np.int32, 2, 3), np.array([[1, 1, 0], [1, 1, 1]], np.int32)
    names = [n for n, _ in tables]
    rows = [("ids", ids), ("segments", integers(0, 2, np.int32, 2, 3))]
    op("EmbedLayerNormalization", [*rows, *tables, ("mask", mask)], names, {"epsilon": 1e-5}, ("y", "z"))
    rows, tables[2] = [("ids", ids), ("", None)], ("", None)
    names.remove("segment")
    op("EmbedLayerNormalization", [*rows, *tables], names, {"epsilon": 1e-5}, ("y", "z"))
    op("QuickGelu", [("a", floats(3, 4))], attributes={"alpha": 1.702})
    norm = [("a", floats(2, 3, 8)), ("s", floats(2, 3, 8)), ("g", floats(8))]
    op(
        "SkipLayerNormalization",
        norm + [("b", floats(8)), ("c", floats(8))],
        ["g", "b", "c"],
        {"epsilon": 1e-5},
        ("y", "", "", "sum"),
    )
    op("SkipSimplifiedLayerNormalization", norm, ["g"], {"epsilon": 1e-5}, ("y", "", "", "sum"))
    op("SimplifiedLayerNormalization", [("a", floats(2, 3, 8)), ("g", floats(8))], ["g"], {"epsilon": 1e-5}, domain="")
    op(
        "FusedConv",
        [("x", floats(1, 3, 6, 6)), ("w", floats(4, 3, 3, 3)), ("b", floats(4))],
        ["w", "b"],
        {"activation": "Relu", "pads": [1] * 4},
    )
    op(
        "FusedGemm",
        [("x", floats(3, 6)), ("w", floats(6, 4)), ("b", floats(4))],
        ["w", "b"],
        {"activation": "LeakyRelu", "activation_alpha": 0.1},
    )


def samples():
    """Of a grid that points beyond the image, too; at the border PyTorch and ONNX Runtime pad a cubic's taps, not its place."""
    for padding in ("zeros", "border", "reflection"):
        for corners in (0, 1):
            attributes = {"mode": "bicubic", "padding_mode": padding, "align_corners": corners}
            op("GridSample", [("x", floats(1, 2, 5, 6)), ("grid", 1.2 * floats(1, 7, 8, 2))], attributes=attributes, domain="")


def resizes():
    """By 13 / 6, whose float is off: output positions that fall on a place, or between two, do so in floats only."""
    x = ("x", floats(1, 3, 24, 5))
    scales = ("scales", np.array([1, 1, 13 / 6, 1], np.float32))
    for places in ("asymmetric", "tf_half_pixel_for_nn", "align_corners"):
        attributes = {"mode": "nearest", "coordinate_transformation_mode": places, "nearest_mode": "floor"}
        op("Resize", [x, ("", None), scales], ["scales"], attributes, domain="")


def standard():
    """What the standard's own tests leave; as ONNX Runtime does, the forget gate of coupled ones is what the input gate leaves of 1."""
    pads = ("p", np.array([2, -1, -1, 2], np.int64))
    op("Pad", [("x", floats(4, 5)), pads], ["p"], {"mode": "wrap"}, domain="")
    for direction, count in (("forward", 1), ("bidirectional", 2)):
        weights = [("w", floats(count, 12, 2)), ("r", floats(count, 12, 3)), ("b", floats(count, 24))]
        states = [("", None), ("h0", floats(count, 2, 3)), ("c0", floats(count, 2, 3)), ("p", floats(count, 9))]
        attributes = {"hidden_size": 3, "direction": direction, "input_forget": 1}
        op("LSTM", [("x", floats(4, 2, 2)), *weights, *states], ["w", "r", "b", "p"], attributes, ("y", "h", "c"), domain="")


def quantized():
    x = [("x", bytes_of(3, 4)), ("xs", scale(0.05)), ("xz", zero(100))]
    y = [("ys", scale(0.04)), ("yz", zero(2))]
    channels = [("s", np.array([0.1, 0.2, 0.3], np.float32)), ("z", integers(-9, 9, np.int8, 3))]
    for axis in (0, 1):
        rows = integers(-128, 128, np.int8, 3, 3)
        op("DequantizeLinear", [("x", rows), *channels], ["s", "z"], {"axis": axis})
        op("QuantizeLinear", [("x", 9 * floats(3, 3)), *channels], ["s", "z"], {"axis": axis}, tolerance=1)
    for name in ("QLinearAdd", "QLinearMul"):
        op(
            name,
            x + [("b", bytes_of(3, 4)), ("bs", scale(0.2)), ("bz", zero(5))] + y,
            ["xs", "xz", "bs", "bz", "ys", "yz"],
            tolerance=1,
        )
    for name, attributes in (
        ("QLinearSigmoid", {}),
        ("QLinearLeakyRelu", {"alpha": 0.1}),
        ("QLinearSoftmax", {"axis": -1, "opset": 13}),
    ):
        op(name, x + y, ["xs", "xz", "ys", "yz"], attributes, tolerance=1)
    image = [("x", bytes_of(1, 3, 4, 4))] + x[1:]
    op("QLinearGlobalAveragePool", image + y, ["xs", "xz", "ys", "yz"], tolerance=1)
    op(
        "QLinearAveragePool",
        image + y,
        ["xs", "xz", "ys", "yz"],
        {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]},
        tolerance=1,
    )
    op(
        "QLinearConcat",
        y + x + [("b", bytes_of(3, 2)), ("bs", scale(0.1)), ("bz", zero(9))],
        ["ys", "yz", "xs", "xz", "bs", "bz"],
        {"axis": 1},
        tolerance=1,
    )
    weights = [("b", integers(-128, 128, np.int8, 6, 4)), ("bs", scale(0.05)), ("bz", zero(0, np.int8))]
    op("DynamicQuantizeMatMul", [("a", floats(3, 6))] + weights, ["b", "bs", "bz"], tolerance=1e-3)
    op(
        "MatMulIntegerToFloat",
        [
            ("a", bytes_of(3, 6)),
            weights[0],
            ("as", scale(0.1)),
            weights[1],
            ("az", zero(3)),
            weights[2],
            ("c", floats(4)),
        ],
        ["b", "as", "bs", "az", "bz", "c"],
        tolerance=1e-3,
    )
    op(
        "QGemm",
        [("a", bytes_of(3, 6)), ("as", scale(0.1)), ("az", zero(3))]
        + weights
        + [("c", integers(-50, 50, np.int32, 4))]
        + y,
        ["as", "az", "b", "bs", "bz", "c", "ys", "yz"],
        tolerance=1,
    )
    packed = [("a", floats(3, 64)), ("b", bytes_of(6, 2, 16)), ("s", floats(12)), ("z", bytes_of(6))]
    op("MatMulNBits", packed, ["b", "s", "z"], {"N": 6, "K": 64, "bits": 4, "block_size": 32}, tolerance=1e-3)
    op("MatMulNBits", packed[:3], ["b", "s"], {"N": 6, "K": 64, "bits": 4, "block_size": 32}, tolerance=1e-3)
    odd = [("a", floats(3, 96)), ("b", bytes_of(5, 3, 16)), ("s", floats(15)), ("z", bytes_of(10))]
    op("MatMulNBits", odd, ["b", "s", "z"], {"N": 5, "K": 96, "bits": 4, "block_size": 32}, tolerance=1e-3)
    whole = [("a", floats(3, 64)), ("b", bytes_of(6, 2, 32)), ("s", scale(0.01) * floats(12)), ("z", bytes_of(12))]
    op("MatMulNBits", whole, ["b", "s", "z"], {"N": 6, "K": 64, "bits": 8, "block_size": 32}, tolerance=1e-3)
    op("MatMulNBits", whole[:3], ["b", "s"], {"N": 6, "K": 64, "bits": 8, "block_size": 32}, tolerance=1e-3)
    table = [("t", bytes_of(7, 32)), ("i", integers(0, 7, np.int64, 2, 3)), ("s", floats(7, 4)), ("z", bytes_of(7, 2))]
    by_16 = {"gather_axis": 0, "quantize_axis": 1, "block_size": 16}
    op("GatherBlockQuantized", table, ["t", "s", "z"], by_16)
    op("GatherBlockQuantized", table[:3], ["t", "s"], by_16)


def attention():
    batch, seq, hidden, heads = 2, 5, 16, 4
    mask = np.ones((batch, seq), np.int32)
    mask[:, -2:] = 0
    packed = [("x", floats(batch, seq, hidden)), ("w", floats(hidden, 3 * hidden)), ("b", floats(3 * hidden))]
    op("Attention", packed + [("m", mask)], ["w", "b"], {"num_heads": heads}, tolerance=1e-3)
    op("Attention", packed + [("m", np.array([3, 5], np.int32))], ["w", "b"], {"num_heads": heads}, tolerance=1e-3)
    op("Attention", packed, ["w", "b"], {"num_heads": heads, "unidirectional": 1}, tolerance=1e-3)
    lengths = packed + [("m", np.array([3, 5], np.int32))]
    op("Attention", lengths, ["w", "b"], {"num_heads": heads, "unidirectional": 1}, tolerance=1e-3, compared=["y"])
    past = packed + [("", None), ("p", floats(2, batch, heads, 3, hidden // heads))]
    op("Attention", past, ["w", "b"], {"num_heads": heads, "unidirectional": 1}, ("y", "present"), tolerance=1e-3)
    cross = [
        ("q", floats(batch, seq, hidden)),
        ("k", floats(batch, 7, hidden)),
        ("v", floats(batch, 7, hidden)),
        ("b", floats(3 * hidden)),
        ("", None),
        ("s", floats(1, heads, seq, 7)),
    ]
    op("MultiHeadAttention", cross, ["b"], {"num_heads": heads}, tolerance=1e-3)
    past = [
        ("q", floats(batch, seq, hidden)),
        ("k", floats(batch, seq, hidden)),
        ("v", floats(batch, seq, hidden)),
        ("", None),
        ("", None),
        ("", None),
        ("pk", floats(batch, heads, 3, 4)),
        ("pv", floats(batch, heads, 3, 4)),
    ]
    op("MultiHeadAttention", past, [], {"num_heads": heads}, ("y", "k2", "v2"), tolerance=1e-3)
    for queries, keys in ((1, 5), (5, 3), (4, 4)):
        alone = [("q", floats(batch, queries, hidden)), ("k", floats(batch, keys, hidden)), ("v", floats(batch, keys, hidden))]
        op("MultiHeadAttention", alone, [], {"num_heads": heads, "unidirectional": 1}, tolerance=1e-3)
    table = [("c", floats(8, 2)), ("s", floats(8, 2))]
    op(
        "RotaryEmbedding",
        [("x", floats(batch, seq, hidden)), ("p", integers(0, 8, np.int64, batch, seq))] + table,
        ["c", "s"],
    )
    op(
        "RotaryEmbedding",
        [("x", floats(batch, heads, seq, 4)), ("p", np.array([2], np.int64))] + table,
        ["p", "c", "s"],
        {"interleaved": 1},
    )


def grouped(batch, seq, past, last, attributes, packed=False, table=True, compared=None):
    """GroupQueryAttention of 4 heads with 2 of keys; last: of each sample the last key that counts."""
    heads, others, size = 4, 2, 16
    operands = [
        ("q", floats(batch, seq, (heads + 2 * others if packed else heads) * size)),
        ("" if packed else "k", floats(batch, seq, others * size)),
        ("" if packed else "v", floats(batch, seq, others * size)),
        ("pk", floats(batch, others, past, size)),
        ("pv", floats(batch, others, past, size)),
        ("last", np.array(last, np.int32)),
        ("total", np.array(past + seq, np.int32)),
        ("c" if table else "", floats(16, size // 2)),
        ("s" if table else "", floats(16, size // 2)),
    ]
    attributes = dict(attributes, num_heads=heads, kv_num_heads=others, do_rotary=int(table))
    op("GroupQueryAttention", operands, ["c", "s"] if table else [], attributes, ("y", "k2", "v2"), compared=compared)


def groups():
    grouped(1, 5, 0, [4], {})
    grouped(2, 5, 0, [4, 4], {"rotary_interleaved": 1}, packed=True)
    grouped(2, 1, 6, [6, 6], {"scale": 0.4, "softcap": 3.0})
    grouped(1, 1, 6, [3], {}, compared=["y"])
    grouped(3, 1, 6, [6, 3, 0], {}, compared=["y"])     # what lies behind the last key may be anything
    grouped(1, 3, 6, [8], {"local_window_size": 4})
    grouped(2, 1, 9, [9, 9], {"local_window_size": 4}, table=False)


def info(name, kind=1, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, value, kind=np.int64):
    return numpy_helper.from_array(np.array(value, kind), name)


def make_loop(state_nodes, results, extra=()):
    """A loop over x whose body's state goes from v to w."""
    states = [info("iteration", 7, []), info("c", 9, []), info("v")]
    body = helper.make_graph(
        state_nodes + [helper.make_node("Identity", ["c"], ["d"])],
        "body",
        states,
        [info("d", 9), info("w")] + [info(r) for r in results],
    )
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"] + [r + "s" for r in results], body=body)
    return helper.make_graph(
        [loop],
        "g",
        [info("x", 1, ["rows", 3]), info("n", 7, [])],
        [info("y")] + [info(r + "s") for r in results],
        list(extra),
    )


def loops():
    node = helper.make_node
    rows = [{"x": floats(1, 3), "n": np.array(3)}, {"x": floats(2, 3), "n": np.array(1)}]
    add(
        "growing state",
        make_loop([node("Concat", ["v", "x"], ["w"], axis=0), node("ReduceSum", ["w"], ["sum"], keepdims=0)], ["sum"]),
        rows,
        1e-4,
    )
    reshapes = [
        node("Concat", ["v", "x"], ["a"], axis=0),
        node("Reshape", ["a", "shape"], ["r"]),
        node("Unsqueeze", ["r", "axes"], ["u"]),
        node("Flatten", ["u"], ["f"], axis=1),
        node("Shape", ["a"], ["s"]),
        node("Reshape", ["f", "s"], ["b"]),
        node("Softmax", ["b"], ["o"], axis=0),
        node("Expand", ["one", "s"], ["e"]),
        node("Add", ["o", "e"], ["w"]),
    ]
    extra = [constant("shape", [0, -1, 1]), constant("axes", [0]), constant("one", [1], np.float32)]
    add("growing state that is reshaped", make_loop(reshapes, [], extra), rows, 1e-4)


def late(name, nodes, outputs=("y",), extra=()):
    """k is 1 + the number of positive elements of x modulo 3: a size that only data says."""
    node = helper.make_node
    counting = [
        node("Greater", ["x", "zero"], ["positive"]),
        node("Cast", ["positive"], ["ones"], to=7),
        node("ReduceSum", ["ones"], ["count"], keepdims=0),
        node("Mod", ["count", "three"], ["rest"]),
        node("Add", ["rest", "one"], ["k"]),
        node("Unsqueeze", ["k", "axes"], ["k1"]),
    ]
    constants = [constant("zero", 0, np.float32), constant("three", 3), constant("one", 1), constant("axes", [0]), *extra]
    x = helper.make_tensor_value_info("x", 1, ["n", 3, 4, 5])
    shown = [helper.make_empty_tensor_value_info(o) for o in outputs]
    graph = helper.make_graph(counting + nodes, "g", [x], shown, constants)
    add(name, graph, [{"x": floats(2, 3, 4, 5)}, {"x": floats(3, 3, 4, 5)}], 1e-5, opset=18)


def late_sizes():
    node = helper.make_node
    pads = node("Concat", ["z3", "k1", "z3", "k1"], ["pads"], axis=0)
    late("Pad by data", [pads, node("Pad", ["x", "pads"], ["y"])], extra=[constant("z3", [0, 0, 0])])
    repeats = node("Concat", ["ones3", "k1"], ["repeats"], axis=0)
    late("Tile by data", [repeats, node("Tile", ["x", "repeats"], ["y"])], extra=[constant("ones3", [1, 1, 1])])
    sizes = [
        node("Mul", ["k1", "three"], ["k3"]),
        node("Shape", ["x"], ["s"], end=2),
        node("Concat", ["s", "k3", "k1"], ["sizes"], axis=0),
        node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear"),
    ]
    late("Resize by data", sizes)
    late("OneHot by data", [node("OneHot", ["ones", "k", "values"], ["y"])], extra=[constant("values", [0, 1], np.float32)])
    late("TopK by data", [node("TopK", ["x", "k1"], ["y", "z"])], ("y", "z"))
    parts = [
        node("Sub", ["four", "k1"], ["rest1"]),
        node("Concat", ["k1", "rest1"], ["parts"], axis=0),
        node("Split", ["x", "parts"], ["y", "z"], axis=2),
    ]
    late("Split by data", parts, ("y", "z"), [constant("four", [4])])
    scaled("Resize by computed scales", 10, mode="linear")
    scaled("Resize by computed scales, opset 13", 13, mode="cubic", coordinate_transformation_mode="half_pixel")


def scaled(name, opset, **attributes):
    """An image takes the size of another by scales that are computed from both shapes."""
    node = helper.make_node
    nodes = [
        node("Shape", ["z"], ["wanted"]),
        node("Slice", ["wanted", "two", "far"], ["wanted2"]),
        node("Cast", ["wanted2"], ["over"], to=1),
        node("Shape", ["x"], ["had"]),
        node("Slice", ["had", "two", "far"], ["had2"]),
        node("Cast", ["had2"], ["under"], to=1),
        node("Div", ["over", "under"], ["ratio"]),
        node("Concat", ["ones", "ratio"], ["scales"], axis=0),
        node("Resize", ["x", "scales"] if opset == 10 else ["x", "", "scales"], ["y"], **attributes),
    ]
    constants = [constant("two", [2]), constant("far", [9]), constant("ones", [1, 1], np.float32)]
    inputs = [helper.make_tensor_value_info(n, 1, ["n", 2, n + "h", n + "w"]) for n in ("x", "z")]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_empty_tensor_value_info("y")], constants)
    feeds = [{"x": floats(1, 2, 4, 3), "z": floats(1, 2, 8, 7)}, {"x": floats(2, 2, 5, 6), "z": floats(2, 2, 3, 6)}]
    add(name, graph, feeds, 1e-5, opset)


def check(planfarm, model, feeds, tolerance):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for feed in feeds:
        for test, want in zip(single_model.run(planfarm, model, feed, "--reference"), session.run(None, feed)):
            np.testing.assert_equal(test.shape, want.shape)
            np.testing.assert_allclose(
                test.astype(np.float64),
                want.astype(np.float64),
                rtol=tolerance if tolerance < 1 else 0,
                atol=tolerance,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--planfarm", default="build/planfarm", help="the program to test")
    parser.add_argument("pattern", nargs="?", default="")
    options = parser.parse_args()
    for family in (fused, samples, resizes, standard, quantized, attention, groups, loops, late_sizes):
        family()
    failed = 0
    for name, model, feeds, tolerance in CASES:
        if options.pattern not in name:
            continue
        try:
            check(options.planfarm, model, feeds, tolerance)
            print(f"{name}: ok")
        except (RuntimeError, AssertionError) as problem:
            print(f"{name}: {' '.join(str(problem).split())[:300]}")
            failed += 1
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
