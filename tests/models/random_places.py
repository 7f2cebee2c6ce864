"""Families of random_operators.py: operators that pick, place, order and reduce."""

import numpy as np
from random_draw import LEFT_OUT, Case, longs


def slice_(draw):
    rank = draw.whole(1, 4)
    count = draw.whole(1, rank)
    far = 1 << 62
    operands = [
        ("x", draw.floats(*draw.wholes(rank, 1, 6))),
        ("first", longs(draw.wholes(count, -8, 8))),
        ("end", longs([draw.any_of(draw.whole(-9, 9), far, -far) for _ in range(count)])),
        ("axes", longs(draw.order(rank)[:count] - draw.any_of(0, rank))),
        ("steps", longs([draw.any_of(1, 2, 3, -1, -2) for _ in range(count)])),
    ]
    return Case("Slice", operands, ("first", "end", "axes", "steps"))


def gather(draw):
    x = draw.floats(*draw.wholes(draw.whole(1, 3), 2, 4))
    axis = draw.whole(-x.ndim, x.ndim - 1)
    size = x.shape[axis]
    index = draw.integers(-size, size - 1, draw.any_of(np.int32, np.int64), *draw.wholes(draw.whole(0, 2), 1, 3))
    return Case("Gather", [("x", x), ("index", index)], draw.any_of(("index",), ()), {"axis": axis})


def gather_nd(draw):
    batch = draw.flag()
    x = draw.floats(*draw.wholes(draw.whole(2 + batch, 4), 2, 4))
    shape = list(x.shape[:batch]) + draw.wholes(draw.whole(0, 2), 1, 3)
    places = [draw.integers(-size, size - 1, np.int64, *shape) for size in x.shape[batch:][: draw.whole(1, x.ndim - batch)]]
    return Case("GatherND", [("x", x), ("index", np.stack(places, -1))], draw.any_of(("index",), ()), {"batch_dims": batch})


def scatter_nd(draw):
    x = draw.floats(*draw.wholes(draw.whole(1, 3), 2, 4))
    dims, count = draw.whole(1, x.ndim), draw.whole(1, 4)
    index = np.stack([draw.integers(0, size - 1, np.int64, count) for size in x.shape[:dims]], -1)
    operands = [("x", x), ("index", index), ("updates", draw.floats(count, *x.shape[dims:]))]
    attributes = {"reduction": draw.any_of("add", "mul", "min", "max")}
    return Case("ScatterND", operands, draw.any_of(("index",), ()), attributes, tolerance=1e-3)


def scatter_elements(draw):
    x = draw.floats(*draw.wholes(draw.whole(1, 3), 2, 4))
    axis, shape = draw.whole(-x.ndim, x.ndim - 1), [draw.whole(1, size) for size in x.shape]
    index = draw.integers(-x.shape[axis], x.shape[axis] - 1, np.int64, *shape)
    operands = [("x", x), ("index", index), ("updates", draw.floats(*shape))]
    attributes = {"axis": axis, "reduction": draw.any_of("add", "mul", "min", "max")}
    return Case("ScatterElements", operands, draw.any_of(("index",), ()), attributes, tolerance=1e-3)


def reduce(draw):
    op = draw.any_of("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSumExp", "SumSquare", "LogSum")
    rank = draw.whole(1, 4)
    x = draw.floats(*draw.wholes(rank, 1, 4))
    axes = longs(draw.order(rank)[: draw.whole(0, rank)] - draw.any_of(0, rank))
    operands = [("x", np.abs(x) + 0.1 if op == "LogSum" else x), LEFT_OUT if draw.once_in(4) else ("axes", axes)]
    attributes = {"keepdims": draw.flag(), "noop_with_empty_axes": draw.flag()}
    return Case("Reduce" + op, operands, ("axes",), attributes)


def arg_reduce(draw):
    x = np.round(draw.floats(*draw.wholes(draw.whole(1, 3), 1, 4)))
    attributes = {"axis": draw.whole(-x.ndim, x.ndim - 1), "keepdims": draw.flag(), "select_last_index": draw.flag()}
    return Case(draw.any_of("ArgMax", "ArgMin"), [("x", x)], (), attributes)


def cumulate(draw):
    x = draw.floats(*draw.wholes(draw.whole(1, 3), 1, 5))
    axis = ("axis", longs(draw.whole(-x.ndim, x.ndim - 1)))
    return Case("CumSum", [("x", x), axis], ("axis",), {"exclusive": draw.flag(), "reverse": draw.flag()})


def top_k(draw):
    x = draw.floats(*draw.wholes(draw.whole(1, 3), 1, 6))
    axis = draw.whole(-x.ndim, x.ndim - 1)
    count = ("count", longs([draw.whole(1, x.shape[axis])]))
    return Case("TopK", [("x", x), count], ("count",), {"axis": axis, "largest": draw.flag()}, ("y", "places"))


def unique(draw):
    x = draw.integers(0, 3, np.float32, draw.whole(2, 4), draw.whole(1, 3))
    attributes = {"sorted": draw.flag(), **draw.any_of({}, {"axis": draw.whole(-2, 1)})}
    return Case("Unique", [("x", x)], (), attributes, ("y", "first", "inverse", "counts"))


def compress(draw):
    x = draw.floats(*draw.wholes(draw.whole(1, 3), 2, 4))
    keep = ("keep", draw.random.random(draw.whole(1, 2)) > 0.4)
    attributes = draw.any_of({}, {"axis": draw.whole(-x.ndim, x.ndim - 1)})
    return Case("Compress", [("x", x), keep], draw.any_of(("keep",), ()), attributes)


def non_max_suppression(draw):
    count = draw.whole(2, 11)
    operands = [
        ("boxes", draw.random.random((1, count, 4)).astype(np.float32)),
        ("scores", draw.random.random((1, draw.whole(1, 2), count)).astype(np.float32)),
        ("most", longs([draw.whole(1, 5)])),
        ("overlap", np.array([0.3], np.float32)),
        ("least", np.array([0.2], np.float32)),
    ]
    return Case("NonMaxSuppression", operands, ("most", "overlap", "least"), {"center_point_box": draw.flag()})


def triangle(draw):
    x = draw.floats(*draw.wholes(draw.whole(2, 3), 1, 5))
    return Case("Trilu", [("x", x), ("k", longs(draw.whole(-5, 5)))], ("k",), {"upper": draw.flag()})


def one_hot(draw):
    operands = [
        ("index", draw.integers(-4, 4, np.int64, *draw.wholes(2, 1, 3))),
        ("depth", longs(4)),
        ("values", np.array([0.5, 2], np.float32)),
    ]
    return Case("OneHot", operands, ("depth", "values"), {"axis": draw.whole(-3, 2)})


def split(draw):
    x = draw.floats(*draw.wholes(draw.whole(1, 3), 2, 6))
    axis = draw.whole(-x.ndim, x.ndim - 1)
    count = draw.whole(1, min(3, x.shape[axis]))
    return Case("Split", [("x", x)], (), {"axis": axis, "num_outputs": count}, [f"y{i}" for i in range(count)])


def tile(draw):
    return Case("Tile", [("x", draw.floats(2, 3)), ("repeats", longs([draw.whole(1, 3), draw.whole(1, 3)]))], ("repeats",))


def remainder(draw):
    if draw.flag():
        return Case("Mod", [("a", draw.floats(6)), ("b", draw.floats(6))], (), {"fmod": 1})
    operands = [("a", draw.integers(-9, 9, np.int64, 4)), ("b", longs(draw.any_of([-3, 2, 5, -7], [3, -2, -5, 7])))]
    if draw.flag():
        return Case("Div", operands)
    return Case("Mod", operands, (), {"fmod": draw.flag()})


FAMILIES = (
    slice_,
    gather,
    gather_nd,
    scatter_nd,
    scatter_elements,
    reduce,
    arg_reduce,
    cumulate,
    top_k,
    unique,
    compress,
    non_max_suppression,
    triangle,
    one_hot,
    split,
    tile,
    remainder,
)
