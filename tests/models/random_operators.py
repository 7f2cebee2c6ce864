#!/usr/bin/env python3
"""Compares plans of single operators with ONNX Runtime, for attributes, shapes and operands drawn at random.

Where the two differ the standard's own reference decides: ONNX Runtime leaves the standard in corners (regions of
Resize, scores that a masked Attention gives out, a causal one with a past and more new keys than queries).

usage: random_operators.py [--planfarm BINARY] [--seed N] [--rounds N] [FAMILY ...]

The exit status is 1 when a case differs from both or is refused, or nothing of a family could be compared, and 77 when
ONNX Runtime is not there.
"""

import argparse
import collections
import sys

try:
    import numpy as np
    import onnxruntime
    from onnx import helper, numpy_helper
    from onnx.reference import ReferenceEvaluator
except ImportError as problem:
    print(f"skipped: {problem}; ops/setup --tests installs it")
    sys.exit(77)

import random_contrib
import random_images
import random_places
import random_products
import random_sequences
import single_model
from random_draw import Draw

FAMILIES = {
    family.__name__: family
    for module in (random_images, random_places, random_products, random_sequences, random_contrib)
    for family in module.FAMILIES
}


def model_of(case):
    given = {name: value for name, value in case.operands if name}
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in given.items()
        if name not in case.constants
    ]
    weights = [numpy_helper.from_array(value, name) for name, value in given.items() if name in case.constants]
    names = [name for name, _ in case.operands]
    node = helper.make_node(case.op, names, list(case.outputs), domain=case.domain, **case.attributes)
    graph = helper.make_graph([node], "g", inputs, list(map(helper.make_empty_tensor_value_info, case.compared)), weights)
    opsets = [helper.make_opsetid(case.domain, case.opset)] + ([helper.make_opsetid("", 17)] if case.domain else [])
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 9
    return model, {name: value for name, value in given.items() if name not in case.constants}


def by_onnxruntime(model, feeds):
    """None where it does not take the model."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, feeds)
    except Exception:  # its classes of failures have no common name of their own
        return None


def by_standard(model, feeds):
    """None where it fails."""
    try:
        return ReferenceEvaluator(model).run(None, feeds)
    except Exception:  # whatever its NumPy code runs into
        return None


def difference(results, wanted, tolerance):
    """What tells them apart, or None."""
    for position, (result, want) in enumerate(zip(results, wanted)):
        want = np.asarray(want)
        if result.shape != want.shape:
            return f"output {position} is of shape {result.shape}, not {want.shape}"
        a, b = result.astype(np.float64), want.astype(np.float64)
        near = np.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
        if not near.all():
            return f"output {position}: {(~near).sum()} of {near.size} elements differ, as {a[~near][0]} and {b[~near][0]}"
    return None


def outcome(planfarm, case):
    model, feeds = model_of(case)
    wanted = by_onnxruntime(model, feeds)
    if wanted is None:
        return "not taken by ONNX Runtime", None
    try:
        results = single_model.run(planfarm, model, feeds, "--effort", "0")
    except RuntimeError as problem:
        return "refused", str(problem)
    found = difference(results, wanted, case.tolerance)
    if not found:
        return "same", None
    standard = by_standard(model, feeds)
    if standard is not None and not difference(results, standard, case.tolerance):
        return "as the standard", None
    return "differs", found


def describe(case):
    shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in case.operands if name)
    small = {name: value.tolist() for name, value in case.operands if name in case.constants and value.size < 9}
    return f"{case.op} of opset {case.opset}, {case.attributes}, {shapes}, {small}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--planfarm", default="build/planfarm", help="the program to test")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=4, help="cases of each family")
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(FAMILIES))
    options = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    failed = False
    for name in options.families or FAMILIES:
        seen = collections.Counter()
        for i in range(options.rounds):
            case = FAMILIES[name](Draw([options.seed, i, *name.encode()]))
            result, why = outcome(options.planfarm, case)
            seen[result] += 1
            if why:
                print(f"{name} {i}: {result}: {' '.join(why.split())[:300]}: {describe(case)}", flush=True)
        failed = failed or seen["refused"] or seen["differs"] or not seen["same"]
        print(f"{name}: {', '.join(f'{count} {result}' for result, count in seen.items())}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
