#!/usr/bin/env python3
"""Runs every node test of the onnx package through onnx_node_driver.

usage: ops_oracle.py DRIVER FOLDER KNOWN [PATTERN]

FOLDER takes the cases (made once per version of onnx).  KNOWN lists cases that are not supported, one "name: reason" a line.
The test fails when a case that is not listed fails, or one that is listed passes.

The standard gives axes, shapes, sizes and the like as inputs; models give them as constants.  A case that cannot be imported
because such an input is not constant is tried again with it as one.  So is an input without elements: in a model a dim of 0 means any.
"""
import os
import subprocess
import sys
import warnings

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as problem:
    print(f"skipped: {problem}")
    sys.exit(77)

# Inputs that say how an op works rather than what it works on.
PARAMETERS = {
    "axes", "axis", "shape", "starts", "ends", "steps", "pads", "repeats", "split", "k", "K", "scales", "sizes", "roi", "depth",
    "constant_value", "size", "dft_length", "frame_step", "frame_length", "image_shape", "block_shape", "output_shape",
    "max_output_boxes_per_class", "iou_threshold", "score_threshold", "num_mel_bins", "sample_rate", "lower_edge_hertz",
    "upper_edge_hertz", "start", "limit", "delta", "ratio", "training_mode", "shapes", "min", "max", "target_shape",
}


def tensors(name, value):
    """The initializers that stand for one value: see onnx_node_driver.c."""
    if isinstance(value, TensorProto):
        value.name = name
        return [value]
    if value is None or isinstance(value, list):
        items = [] if value is None else value
        out = [numpy_helper.from_array(np.array(len(items), dtype=np.int64), name + "#")]
        for i, item in enumerate(items):
            out += tensors(f"{name}.{i}", item)
        return out
    return [numpy_helper.from_array(np.asarray(value), name)]


def wrapped(type_proto, value):
    """An optional with a value is a list of one."""
    if type_proto.HasField("optional_type"):
        return None if value is None else [wrapped(type_proto.optional_type.elem_type, value)]
    if type_proto.HasField("sequence_type"):
        return list(value) if value is not None else []
    return value


def write(folder, model, inputs, outputs):
    os.makedirs(folder, exist_ok=True)
    graph = model.graph
    data = []
    for i, value in enumerate(inputs):
        data += tensors(f"i{i}", value)
    for i, value in enumerate(outputs):
        data += tensors(f"o{i}", wrapped(graph.output[i].type, value))
    holder = helper.make_model(helper.make_graph([], "data", [], [], initializer=data))
    with open(os.path.join(folder, "model.onnx"), "wb") as f:
        f.write(model.SerializeToString())
    with open(os.path.join(folder, "data.onnx"), "wb") as f:
        f.write(holder.SerializeToString())


def parameter_names(model):
    names = set()
    for node in model.graph.node:
        version = max(o.version for o in model.opset_import if o.domain == node.domain)
        try:
            schema = onnx.defs.get_schema(node.op_type, version, node.domain)
        except onnx.defs.SchemaError:
            continue
        for i, name in enumerate(node.input):
            formal = schema.inputs[min(i, len(schema.inputs) - 1)]
            if formal.name in PARAMETERS:
                names.add(name)
    return names


def frozen(model, inputs):
    """The model with its parameters as constants; None when it has none."""
    names = parameter_names(model) | {i.name for i in model.graph.input if i.name in PARAMETERS}
    for info, value in zip(model.graph.input, inputs):
        if not isinstance(value, (list, type(None))) and 0 in (value.dims if isinstance(value, TensorProto) else np.shape(value)):
            names.add(info.name)
    if not any(i.name in names for i in model.graph.input):
        return None, None
    out = onnx.ModelProto()
    out.CopyFrom(model)
    kept, rest = [], []
    for info, value in zip(model.graph.input, inputs):
        if info.name in names and not isinstance(value, (list, type(None))):
            constant = TensorProto()
            constant.CopyFrom(tensors(info.name, value)[0])
            out.graph.initializer.append(constant)
        else:
            kept.append(info)
            rest.append(value)
    del out.graph.input[:]
    out.graph.input.extend(kept)
    return out, rest


def make_cases(folder):
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.seterr(all="ignore")
        cases = collect_testcases(None)
    for case in cases:
        if case.name.endswith("_expanded") or "_expanded_" in case.name:
            kind = "expanded"
        else:
            kind = "node"
        for i, (inputs, outputs) in enumerate(case.data_sets):
            values = [wrapped(info.type, v) for info, v in zip(case.model.graph.input, inputs)]
            name = case.name + (f"@{i}" if i else "")
            write(os.path.join(folder, kind, name), case.model, values, outputs)
            model, rest = frozen(case.model, values)
            if model:
                write(os.path.join(folder, kind, name + "+constants"), model, rest, outputs)
    with open(os.path.join(folder, "done"), "w", encoding="utf-8") as f:
        f.write(onnx.__version__)


def read_known(path):
    known = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                name, _, reason = line.strip().partition(": ")
                known[name] = reason
    return known


def run(driver, folder, names):
    lines = "".join(os.path.join(folder, name) + "\n" for name in names)
    answer = subprocess.run([driver], input=lines, capture_output=True, text=True, check=True).stdout
    results = {}
    for line in answer.splitlines():
        word, _, rest = line.partition(" ")
        path, _, why = rest.partition(": ")
        if word in ("PASS", "FAIL", "UNSUPPORTED"):
            results[os.path.relpath(path, folder)] = (word, why)
    return results


def main():
    driver, folder, known_path = sys.argv[1:4]
    pattern = sys.argv[4] if len(sys.argv) > 4 else ""
    folder = os.path.join(folder, "onnx-" + onnx.__version__)
    if not os.path.exists(os.path.join(folder, "done")):
        make_cases(folder)
    known = read_known(known_path)
    names = sorted(k + "/" + n for k in ("node", "expanded") for n in os.listdir(os.path.join(folder, k)) if pattern in n)
    plain = [n for n in names if not n.endswith("+constants")]
    results = run(driver, folder, plain)
    again = [n + "+constants" for n in plain if results.get(n, ("FAIL",))[0] != "PASS" and n + "+constants" in names]
    for name, result in run(driver, folder, again).items():
        results[name.removesuffix("+constants")] = result
    wrong = 0
    for name in plain:
        word, why = results.get(name, ("FAIL", "there was no answer"))
        short = name.partition("/")[2]
        if word == "PASS" and short in known:
            print(f"{short}: passes, but is listed as unsupported")
            wrong += 1
        elif word != "PASS" and short not in known:
            print(f"{word} {short}: {why}")
            wrong += 1
    passed = sum(results.get(n, ("",))[0] == "PASS" for n in plain)
    print(f"{passed} of {len(plain)} cases pass; {len(known)} are listed as not supported; {wrong} are not as they should be")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
