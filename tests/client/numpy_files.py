#!/usr/bin/env python3
"""Tensor files between planfarm and NumPy, both ways.  usage: numpy_files.py PLANFARM"""
import json
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as problem:
    print(f"skipped: {problem}")
    sys.exit(77)

TYPES = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool", "<U5"]


def identity(path, dtype, shape):
    """A model that gives back its input."""
    kind = TensorProto.STRING if dtype.startswith("<U") else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    value = lambda name: helper.make_tensor_value_info(name, kind, shape)
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [value("x")], [value("y")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def values(dtype, shape, random):
    if dtype.startswith("<U"):
        return np.array([random.choice(["a", "", "häß", "12345"]) for _ in range(int(np.prod(shape)))], dtype=dtype).reshape(shape)
    return (random.standard_normal(shape) * 50).astype(dtype)


def run(planfarm, folder, model, file):
    subprocess.run([planfarm, "run", model, "--reference", "--input", file, "--output-dir", f"{folder}/out", "--json"], check=True,
                   stdout=subprocess.PIPE)
    return np.load(f"{folder}/out/y.npy")


def check(planfarm, folder, dtype, shape, random):
    model = f"{folder}/model.onnx"
    identity(model, dtype, shape)
    array = values(dtype, shape, random)
    forms = {"c.npy": np.ascontiguousarray(array), "fortran.npy": array if dtype.startswith("<U") else np.asfortranarray(array)}
    for name, form in forms.items():
        np.save(f"{folder}/{name}", form)
        back = run(planfarm, folder, model, f"{folder}/{name}")
        assert back.shape == array.shape and (back == array).all(), (dtype, shape, name)
        assert dtype.startswith("<U") or back.dtype == array.dtype, (dtype, back.dtype)
    with open(f"{folder}/x.pb", "wb") as file:
        file.write(numpy_helper.from_array(array.astype(object) if dtype.startswith("<U") else array).SerializeToString())
    back = run(planfarm, folder, model, f"{folder}/x.pb")
    assert (back == array).all(), (dtype, shape, "pb")


def main():
    planfarm = sys.argv[1]
    random = np.random.default_rng(7)
    for dtype in TYPES:
        for shape in ([3, 4, 5], [1], [2, 1, 3]):
            with tempfile.TemporaryDirectory() as folder:
                check(planfarm, folder, dtype, shape, random)
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/big.npy", np.arange(3, dtype=">f4"))
        identity(f"{folder}/model.onnx", "float32", [3])
        ended = subprocess.run([planfarm, "run", f"{folder}/model.onnx", "--reference", "--input", f"{folder}/big.npy", "--json"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert ended.returncode == 71 and json.loads(ended.stdout)["error"]["status"] == "UNSUPPORTED"
    print("all types agree")


main()
