"""Families of random_operators.py: operators of com.microsoft, which ONNX Runtime's optimizers and exporters write."""

import numpy as np
from random_draw import LEFT_OUT, Case

MICROSOFT = {"domain": "com.microsoft", "opset": 1}


def fused_product(draw):
    if draw.flag():
        batch, size = draw.wholes(draw.whole(0, 2), 1, 3), draw.whole(1, 5)
        left, right = draw.flag(), draw.flag()
        rows, columns = draw.whole(1, 4), draw.whole(1, 4)
        a = draw.floats(*batch, *((size, rows) if left else (rows, size)))
        b = draw.floats(*batch, *((columns, size) if right else (size, columns)))
        attributes = {"alpha": draw.any_of(0.5, 1.0), "transA": left, "transB": right}
        return Case("FusedMatMul", [("a", a), ("b", b)], draw.any_of(("b",), ()), attributes, **MICROSOFT)
    attributes = {"alpha": 0.5, "beta": 2.0, "transB": draw.flag()}
    attributes.update(draw.any_of({"activation": "Relu"}, {"activation": "LeakyRelu", "activation_alpha": 0.1}))
    operands = [("a", draw.floats(3, 4)), ("b", draw.floats(4, 4)), ("c", draw.floats(4))]
    return Case("FusedGemm", operands, ("b", "c"), attributes, **MICROSOFT)


def fused_convolution(draw):
    groups = draw.any_of(1, 2)
    x = draw.floats(1, 2 * groups, *draw.wholes(2, 4, 7))
    operands = [("x", x), ("w", draw.floats(2 * groups, 2, 3, 3)), draw.any_of(LEFT_OUT, ("b", draw.floats(2 * groups)))]
    attributes = {"group": groups, "pads": draw.wholes(4, 0, 1), "strides": draw.wholes(2, 1, 2)}
    attributes.update(
        draw.any_of(
            {"activation": "Relu"},
            {"activation": "Clip", "activation_params": [-0.5, 0.5]},
            {"activation": "LeakyRelu", "activation_params": [0.1]},
            {"activation": "HardSigmoid", "activation_params": [0.2, 0.5]},
        )
    )
    return Case("FusedConv", operands, ("w", "b"), attributes, **MICROSOFT)


def skip_norm(draw):
    x, size = draw.floats(draw.whole(1, 2), draw.whole(1, 4), 8), 8
    operands = [("x", x), ("skip", draw.floats(*x.shape)), ("scale", draw.floats(size))]
    bias = draw.any_of(LEFT_OUT, ("bias", draw.floats(size)))
    if draw.flag():
        op = "SkipSimplifiedLayerNormalization"
    else:
        op = "SkipLayerNormalization"
        operands.append(draw.any_of(LEFT_OUT, ("shift", draw.floats(size))))
    outputs = draw.any_of(("y",), ("y", "", "", "sum"))
    return Case(op, [*operands, bias], ("scale", "shift", "bias"), {"epsilon": 1e-5}, outputs, tolerance=1e-3, **MICROSOFT)


def few_bits(draw):
    """Zero points of 4 bits stand two in a byte; each row begins with a byte."""
    bits, block, blocks, rows = draw.any_of(4, 8), draw.any_of(16, 32), draw.whole(1, 4), draw.whole(1, 7)
    zeros = draw.integers(0, 255, np.uint8, rows * ((blocks * bits + 7) // 8))
    operands = [
        ("a", draw.floats(draw.whole(1, 3), block * blocks)),
        ("b", draw.integers(0, 255, np.uint8, rows, blocks, block * bits // 8)),
        ("scales", 0.05 * draw.floats(rows * blocks)),
        draw.any_of(LEFT_OUT, ("zeros", zeros)),
    ]
    operands[2] = ("scales", operands[2][1].astype(np.float32))
    attributes = {"N": rows, "K": block * blocks, "bits": bits, "block_size": block}
    if draw.flag():
        attributes["accuracy_level"] = 1
    return Case("MatMulNBits", operands, ("b", "scales", "zeros"), attributes, tolerance=1e-3, **MICROSOFT)


def mask_of(draw, batch, queries, keys):
    """As ones and zeros of which the first is one, or how many keys count."""
    kind = draw.any_of("none", "keys", "queries and keys", "lengths")
    if kind == "none":
        return LEFT_OUT
    if kind == "lengths":
        return ("mask", draw.integers(1, keys, np.int32, batch))
    mask = draw.integers(0, 1, np.int32, *((batch, keys) if kind == "keys" else (batch, queries, keys)))
    mask[..., 0] = 1
    return ("mask", mask)


def packed_attention(draw):
    batch, steps, heads, size, past = draw.whole(1, 2), draw.whole(1, 5), draw.any_of(1, 2, 4), draw.any_of(2, 4), draw.any_of(0, 0, 3)
    hidden, attributes = heads * size, {"num_heads": heads, "unidirectional": draw.flag()}
    if draw.once_in(3):
        attributes["scale"] = 0.3
    # where a query may see no key at all, the two need not agree
    mask = LEFT_OUT if attributes["unidirectional"] else mask_of(draw, batch, steps, past + steps)
    operands = [
        ("x", draw.floats(batch, steps, 6)),
        ("w", draw.floats(6, 3 * hidden)),
        ("b", draw.floats(3 * hidden)),
        mask,
        ("past", draw.floats(2, batch, heads, past, size)) if past else LEFT_OUT,
        draw.any_of(LEFT_OUT, ("bias", draw.floats(draw.any_of(1, batch), heads, steps, past + steps))),
    ]
    outputs = ("y", "present") if past else ("y",)
    return Case("Attention", operands, ("w", "b"), attributes, outputs, tolerance=1e-3, **MICROSOFT)


def multi_head_attention(draw):
    batch, heads, size, steps, past = draw.whole(1, 2), draw.any_of(1, 2, 4), draw.any_of(2, 4), draw.whole(1, 5), draw.any_of(0, 0, 3)
    keys = steps if past else draw.any_of(steps, draw.whole(1, 6))
    hidden, attributes = heads * size, {"num_heads": heads}
    if keys == steps:
        attributes["unidirectional"] = draw.flag()
    if draw.once_in(3):
        attributes["scale"] = 0.3
    operands = [
        ("q", draw.floats(batch, steps, hidden)),
        ("k", draw.floats(batch, keys, hidden)),
        ("v", draw.floats(batch, keys, hidden)),
        draw.any_of(LEFT_OUT, ("b", draw.floats(3 * hidden))),
        LEFT_OUT if attributes.get("unidirectional") else mask_of(draw, batch, steps, past + keys),
        draw.any_of(LEFT_OUT, ("bias", draw.floats(draw.any_of(1, batch), heads, steps, past + keys))),
    ]
    if past:
        operands += [(name, draw.floats(batch, heads, past, size)) for name in ("past_k", "past_v")]
    outputs = ("y", "all_k", "all_v") if past else ("y",)
    return Case("MultiHeadAttention", operands, ("b",), attributes, outputs, tolerance=1e-3, **MICROSOFT)


def grouped_attention(draw):
    """Of samples with a past of their own length what lies behind the last key may be anything, so keys are not compared."""
    batch, others, size, past = draw.whole(1, 2), draw.any_of(1, 2), draw.any_of(8, 16), draw.any_of(0, draw.whole(1, 6))
    heads, steps = others * draw.any_of(1, 2, 3), 1 if past else draw.whole(1, 5)
    attributes = {"num_heads": heads, "kv_num_heads": others, "do_rotary": draw.flag()}
    if attributes["do_rotary"]:
        attributes["rotary_interleaved"] = draw.flag()
    attributes.update(draw.any_of({}, {"scale": 0.3}), **draw.any_of({}, {"softcap": 3.0}), **draw.any_of({}, {"local_window_size": 3}))
    last = draw.integers(0, past, np.int32, batch) if past else np.full(batch, steps - 1, np.int32)
    is_packed = draw.flag()
    table = [(name, draw.floats(16, size // 2)) for name in ("cosines", "sines")] if attributes["do_rotary"] else []
    operands = [
        ("q", draw.floats(batch, steps, (heads + 2 * others if is_packed else heads) * size)),
        LEFT_OUT if is_packed else ("k", draw.floats(batch, steps, others * size)),
        LEFT_OUT if is_packed else ("v", draw.floats(batch, steps, others * size)),
        ("past_k", draw.floats(batch, others, past, size)),
        ("past_v", draw.floats(batch, others, past, size)),
        ("last", last),
        ("total", np.array(last.max() + 1, np.int32)),
        *table,
    ]
    constants = ("cosines", "sines")
    compared = ("y",)
    return Case("GroupQueryAttention", operands, constants, attributes, ("y", "k2", "v2"), compared=compared, tolerance=1e-3, **MICROSOFT)


def turned_embedding(draw):
    batch, heads, steps, size = draw.whole(1, 2), draw.whole(1, 2), draw.whole(1, 4), draw.any_of(4, 8)
    is_flat = draw.flag()
    x = draw.floats(*((batch, steps, heads * size) if is_flat else (batch, heads, steps, size)))
    places = draw.any_of(draw.integers(0, 8, np.int64, batch, steps), np.array([2], np.int64))
    operands = [("x", x), ("places", places), ("cosines", draw.floats(9, size // 2)), ("sines", draw.floats(9, size // 2))]
    attributes = {"interleaved": draw.flag(), **({"num_heads": heads} if draw.flag() else {})}
    return Case("RotaryEmbedding", operands, ("cosines", "sines"), attributes, **MICROSOFT)


FAMILIES = (
    fused_product,
    fused_convolution,
    skip_norm,
    few_bits,
    packed_attention,
    multi_head_attention,
    grouped_attention,
    turned_embedding,
)
