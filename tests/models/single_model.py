"""Runs a model that lies in memory by the program, on inputs that lie there too."""

import os
import subprocess
import tempfile

import numpy as np
import onnx


def run(planfarm, model, feeds, *options):
    """The outputs in the model's order; RuntimeError with what the program says where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        onnx.save(model, path)
        command = [planfarm, "run", path, *options, "--output-dir", folder]
        for position, (name, value) in enumerate(feeds.items()):
            file = os.path.join(folder, f"in{position}.npy")
            np.save(file, value)
            command += ["--input", f"{name}={file}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip() or done.stdout.strip())
        return [np.load(os.path.join(folder, output.name + ".npy")) for output in model.graph.output]
