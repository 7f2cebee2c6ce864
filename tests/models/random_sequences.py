"""Families of random_operators.py: recurrent layers and attention."""

import numpy as np
from random_draw import LEFT_OUT, Case


def recurrent(draw):
    op = draw.any_of("LSTM", "GRU", "RNN")
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    steps, batch, size, hidden = draw.whole(1, 5), draw.whole(1, 3), draw.whole(1, 4), draw.whole(1, 4)
    direction = draw.any_of("forward", "reverse", "bidirectional")
    ways = 2 if direction == "bidirectional" else 1
    attributes = {"hidden_size": hidden, "direction": direction}
    operands = [
        ("x", draw.floats(steps, batch, size)),
        ("w", draw.floats(ways, gates * hidden, size)),
        ("r", draw.floats(ways, gates * hidden, hidden)),
        draw.any_of(LEFT_OUT, ("b", draw.floats(ways, 2 * gates * hidden))),
        draw.any_of(LEFT_OUT, ("lengths", draw.integers(1, steps, np.int32, batch))),
        draw.any_of(LEFT_OUT, ("h0", draw.floats(ways, batch, hidden))),
    ]
    if op == "GRU":
        attributes["linear_before_reset"] = draw.flag()
    if op == "LSTM":
        operands.append(draw.any_of(LEFT_OUT, ("c0", draw.floats(ways, batch, hidden))))
        operands.append(draw.any_of(LEFT_OUT, ("p", draw.floats(ways, 3 * hidden))))
        if draw.once_in(4):
            attributes["input_forget"] = 1
        if draw.once_in(3):
            gate, state = draw.any_of("Sigmoid", "HardSigmoid"), draw.any_of("Tanh", "Softsign")
            attributes["activations"] = [gate, state, draw.any_of("Tanh", "Relu")] * ways
    if draw.once_in(3):
        attributes["clip"] = 0.5
    return Case(op, operands, draw.any_of(("w", "r", "b", "p"), ()), attributes, ("y", "h", "c") if op == "LSTM" else ("y", "h"))


def attention_mask(draw, batch, heads, queries, keys):
    shape = draw.any_of((queries, keys), (1, 1, queries, keys), (batch, 1, queries, keys), (batch, heads, queries, keys))
    kind = draw.any_of("none", "none", "of bools", "of floats")
    if kind == "none":
        return LEFT_OUT
    if kind == "of floats":
        return ("mask", draw.floats(*shape))
    mask = draw.random.random(shape) > 0.3
    mask[..., 0] = True
    return ("mask", mask)


def attention(draw):
    batch, heads, size = draw.whole(1, 2), draw.any_of(1, 2, 4), draw.any_of(4, 8)
    others, value_size = draw.any_of(1, heads), draw.any_of(size, size, 4)
    queries = draw.whole(1, 5)
    keys, past = draw.any_of(queries, draw.whole(1, 6)), draw.any_of(0, draw.whole(1, 3))
    attributes, outputs = {}, ["y"]
    if draw.flag():
        attributes["is_causal"] = 1
    if draw.once_in(3):
        attributes["scale"] = 0.3
    if draw.once_in(3):
        attributes["softcap"] = 2.0
    if draw.flag():
        attributes.update(q_num_heads=heads, kv_num_heads=others)
        shapes = [(batch, queries, heads * size), (batch, keys, others * size), (batch, keys, others * value_size)]
    else:
        shapes = [(batch, heads, queries, size), (batch, others, keys, size), (batch, others, keys, value_size)]
    operands = [(name, draw.floats(*shape)) for name, shape in zip("qkv", shapes)]
    operands.append(attention_mask(draw, batch, heads, queries, past + keys))
    if past:
        operands += [("past_k", draw.floats(batch, others, past, size)), ("past_v", draw.floats(batch, others, past, value_size))]
        outputs += ["all_k", "all_v"]
    if draw.once_in(4):
        attributes["qk_matmul_output_mode"] = draw.whole(0, 3)
        outputs = (outputs + ["", ""])[:3] + ["scores"]
    return Case("Attention", operands, (), attributes, outputs, draw.any_of(23, 24), 1e-3)


def rotary_embedding(draw):
    batch, heads, steps, size = draw.whole(1, 2), draw.whole(1, 2), draw.whole(1, 4), draw.any_of(4, 8)
    turned = draw.any_of(0, 4)
    half = (turned or size) // 2
    attributes = {"interleaved": draw.flag(), **({"rotary_embedding_dim": turned} if turned else {})}
    x = draw.floats(batch, heads, steps, size)
    if draw.flag():
        x = draw.floats(batch, steps, heads * size)
        attributes["num_heads"] = heads
    table, places = (9, half), ("places", draw.integers(0, 8, np.int64, batch, steps))
    if draw.flag():
        table, places = (batch, steps, half), LEFT_OUT
    operands = [("x", x), ("cosines", draw.floats(*table)), ("sines", draw.floats(*table)), places]
    return Case("RotaryEmbedding", operands, draw.any_of(("cosines", "sines"), ()), attributes, opset=23)


FAMILIES = (recurrent, attention, rotary_embedding)
