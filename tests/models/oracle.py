#!/usr/bin/env python3
"""Compares planfarm with ONNX Runtime on whole networks.

usage: oracle.py [--planfarm BINARY] [--plan] [--limit ERROR] [--json FILE] MODEL.onnx...

Each network gets at least two seeded inputs, and several shapes where its dimensions have names. Images have large
structure (an 8 x 8 grid of normal values, interpolated, plus a tenth of noise), token ids lie below the vocabulary,
masks have zeros: white noise would give nearly the same output whatever the input. Without --plan the references run
(planfarm run --reference); with it a plan is built and run. Printed for each output: the largest error relative to
the output's range, the cosine, and how far the outputs of two inputs are apart in the same measure, which says what
the error means. The exit status is 1 when an error is above the limit (1e-4) or a run fails, and 77 when ONNX Runtime
is not there."""

import argparse
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as problem:
    print(f"skipped: {problem}; ops/setup --tests installs it")
    sys.exit(77)

# What named dimensions are in each case; a network without names takes its inputs' own shapes.
CASES = [{"batch": 1, "seq": 16}, {"batch": 1, "seq": 16}, {"batch": 3, "seq": 9}, {"batch": 2, "seq": 1}]
NUMPY_TYPES = {1: np.float32, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}


def image(generator, shape):
    """Large structure and a little noise over the last two dims."""
    *outer, height, width = shape
    grid = generator.standard_normal((*outer, 8, 8))
    rows, columns = np.linspace(0, 7, height), np.linspace(0, 7, width)
    top, left = np.minimum(rows.astype(int), 6), np.minimum(columns.astype(int), 6)
    down, right = (rows - top)[:, None], columns - left
    upper = grid[..., top, :][..., left] * (1 - right) + grid[..., top, :][..., left + 1] * right
    lower = grid[..., top + 1, :][..., left] * (1 - right) + grid[..., top + 1, :][..., left + 1] * right
    return upper * (1 - down) + lower * down + 0.1 * generator.standard_normal(shape)


def vocabulary(model):
    """Rows of the smallest table that is gathered from along axis 0: ids below it are legal everywhere."""
    tables = {t.name: t.dims[0] for t in model.graph.initializer if len(t.dims) == 2}
    rows = [tables[n.input[0]] for n in model.graph.node if n.op_type == "Gather" and n.input[0] in tables]
    big = [r for r in rows if r >= 1000]
    return min(big) if big else 100


def make_input(generator, info, dims, ids_below):
    tensor = info.type.tensor_type
    kind = NUMPY_TYPES[tensor.elem_type]
    shape = [d.dim_value if d.HasField("dim_value") else dims.get(d.dim_param, 2) for d in tensor.shape.dim]
    if "mask" in info.name:
        mask = np.ones(shape, kind)
        mask[..., shape[-1] - shape[-1] // 4 :] = 0
        return mask
    if np.issubdtype(kind, np.integer):
        return generator.integers(0, ids_below, shape).astype(kind)
    if kind == np.bool_:
        return generator.random(shape) < 0.8
    if len(shape) == 4 and min(shape[-2:]) >= 16:
        return image(generator, shape).astype(kind)
    return generator.standard_normal(shape).astype(kind)


class Network:
    def __init__(self, path):
        self.path = path
        self.name = os.path.splitext(os.path.basename(path))[0]
        self.model = onnx.load(path, load_external_data=False)
        constants = {t.name for t in self.model.graph.initializer}
        self.inputs = [i for i in self.model.graph.input if i.name not in constants]
        self.outputs = [o.name for o in self.model.graph.output]
        self.dynamic = any(d.dim_param for i in self.inputs for d in i.type.tensor_type.shape.dim)
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def feed(self, case):
        generator = np.random.default_rng(case + 1)
        ids_below = vocabulary(self.model)
        return {i.name: make_input(generator, i, CASES[case], ids_below) for i in self.inputs}

    def cases(self):
        return range(len(CASES)) if self.dynamic else range(2)


def call(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:2])}: {done.stderr.strip() or done.stdout.strip()}")


def shapes(network, pick):
    """All inputs with the least, usual or most that the cases need, as options of planfarm spell it."""
    parts = []
    for i in network.inputs:
        dims = [
            str(pick(c.get(d.dim_param, 2) for c in CASES)) if d.dim_param else str(d.dim_value)
            for d in i.type.tensor_type.shape.dim
        ]
        parts.append(f"{i.name}:{'x'.join(dims)}")
    return ",".join(parts)


def build(options, network, plan):
    command = [options.planfarm, "build", network.path, "-o", plan, *options.build_option]
    if network.dynamic:
        for flag, pick in (
            ("--min-shapes", min),
            ("--opt-shapes", lambda sizes: next(iter(sizes))),
            ("--max-shapes", max),
        ):
            command += [flag, shapes(network, pick)]
    call(*command)


def run_planfarm(options, network, target, feed, folder):
    command = [options.planfarm, "run", target, "--output-dir", folder]
    if not options.plan:
        command.append("--reference")
    for position, (name, value) in enumerate(feed.items()):
        path = os.path.join(folder, f"in{position}.npy")
        np.save(path, value)
        command += ["--input", f"{name}={path}"]
    call(*command)
    return [np.load(os.path.join(folder, name + ".npy")) for name in network.outputs]


def relative_to_range(test, reference):
    if test.shape != reference.shape:
        return float("inf")
    a, b = test.astype(np.float64), reference.astype(np.float64)
    if not b.size:
        return 0.0
    size = b.max() - b.min() or np.abs(b).max() or 1.0
    return float(np.abs(a - b).max() / size) if np.isfinite(a).all() else float("inf")


def cosine(test, reference):
    a, b = test.astype(np.float64).ravel(), reference.astype(np.float64).ravel()
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm else 1.0


def compare_network(options, path, report):
    network = Network(path)
    worst, before = 0.0, None
    with tempfile.TemporaryDirectory() as folder:
        target = path
        if options.plan:
            target = os.path.join(folder, "network.plan")
            build(options, network, target)
        for case in network.cases():
            feed = network.feed(case)
            want = network.session.run(None, feed)
            got = run_planfarm(options, network, target, feed, folder)
            for name, test, reference in zip(network.outputs, got, want):
                error = relative_to_range(test, reference)
                apart = (
                    relative_to_range(before[name], reference)
                    if before and before[name].shape == reference.shape
                    else None
                )
                worst = max(worst, error)
                report.append(
                    {
                        "network": network.name,
                        "case": case,
                        "output": name,
                        "error": error,
                        "cosine": cosine(test, reference),
                        "apart": apart,
                    }
                )
                shown = f", outputs of two inputs are {apart:.3g} apart" if apart is not None else ""
                print(
                    f"{network.name} case {case} {name}: error {error:.3g}, cosine {report[-1]['cosine']:.9f}{shown}",
                    flush=True,
                )
            before = dict(zip(network.outputs, want))
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--planfarm", default="build/planfarm", help="the program to test")
    parser.add_argument("--plan", action="store_true", help="build plans and run them instead of the references")
    parser.add_argument("--build-option", action="append", default=[], help="for planfarm build; may be repeated")
    parser.add_argument("--limit", type=float, default=1e-4)
    parser.add_argument("--json", help="where to write all figures")
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    report, failed = [], []
    for path in options.models:
        try:
            if compare_network(options, path, report) > options.limit:
                failed.append(path)
        except RuntimeError as problem:
            print(f"{path}: {problem}")
            failed.append(path)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
    if failed:
        print(f"above {options.limit:g} or failed: {', '.join(failed)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
