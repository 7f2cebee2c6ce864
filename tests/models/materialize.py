#!/usr/bin/env python3
"""Makes the weights of the graph-only networks beside this script.

usage: materialize.py OUT [NAME...]

Copies NAME.onnx to the folder OUT and writes NAME.weights there, as NAME.weights.json says: position, shape, mean and
deviation of each tensor. Values are drawn from a normal distribution by a generator that is seeded with the tensor's
name, so the bytes are the same everywhere; a tensor that has to stay positive (a variance, say) is kept above its
floor. Weights that are there already are kept. Without names all networks are made (3 GB). Needs NumPy
(python3-numpy)."""

import json
import os
import shutil
import sys
import zlib

try:
    import numpy as np
except ImportError:
    sys.exit(f"{sys.executable} has no NumPy; install python3-numpy, or use the python3 that has it")

HERE = os.path.dirname(os.path.abspath(__file__))


def draw(tensor):
    generator = np.random.default_rng(zlib.crc32(tensor["name"].encode()))
    deviation = tensor["std"] if tensor["std"] > 1e-8 else 0.1
    count = int(np.prod(tensor["dims"]))
    values = generator.standard_normal(count, dtype=np.float32) * np.float32(deviation) + np.float32(tensor["mean"])
    if "floor" in tensor:
        values = np.maximum(values, np.float32(tensor["floor"]))
    return values.astype(tensor["dtype"])


def write_weights(spec, path):
    """The file appears when it is complete."""
    partial = path + ".partial"
    with open(partial, "wb") as file:
        for tensor in spec["tensors"]:
            file.seek(tensor["offset"])
            file.write(draw(tensor).tobytes())
        file.truncate(spec["bytes"])
    os.replace(partial, path)


def materialize(name, out):
    with open(os.path.join(HERE, name + ".weights.json"), encoding="utf-8") as file:
        spec = json.load(file)
    shutil.copyfile(os.path.join(HERE, name + ".onnx"), os.path.join(out, name + ".onnx"))
    path = os.path.join(out, spec["file"])
    if os.path.exists(path) and os.path.getsize(path) == spec["bytes"]:
        return
    write_weights(spec, path)
    print(f"{path}: {spec['bytes'] >> 20} MiB", flush=True)


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__.strip())
    known = sorted(f[: -len(".weights.json")] for f in os.listdir(HERE) if f.endswith(".weights.json"))
    names = sys.argv[2:] or known
    for name in names:
        if name not in known:
            sys.exit(f"there is no network {name}; there are {', '.join(known)}")
    os.makedirs(sys.argv[1], exist_ok=True)
    for name in names:
        materialize(name, sys.argv[1])


if __name__ == "__main__":
    main()
