"""A network built and run by planfarm, and how far its outputs are from those of ONNX Runtime."""

import os
import subprocess
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
import torch

from zoo_apart import apart
from zoo_export import SIZES

NUMPY_TYPES = {
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    10: np.float16,
    11: np.float64,
}


class Network:
    def __init__(self, path, inputs):
        self.path, self.model = path, onnx.load(path, load_external_data=False)
        constants = {t.name for t in self.model.graph.initializer}
        self.inputs = [i for i in self.model.graph.input if i.name not in constants]
        self.outputs = [o.name for o in self.model.graph.output]
        self.examples = inputs
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def shape(self, info, axes, case):
        dims = info.type.tensor_type.shape.dim
        named = axes.get(info.name, {})
        example = self.examples[info.name].shape if info.name in self.examples else ()
        return [
            (
                SIZES[named[k]][case]
                if k in named and not d.HasField("dim_value")
                else d.dim_value or (example[k] if k < len(example) else 2)
            )
            for k, d in enumerate(dims)
        ]

    def feed(self, axes, case):
        generator = np.random.default_rng(case + 1)
        feed = {}
        for info in self.inputs:
            kind = NUMPY_TYPES[info.type.tensor_type.elem_type]
            shape = self.shape(info, axes, case)
            if np.issubdtype(kind, np.floating):
                feed[info.name] = generator.standard_normal(shape).astype(kind)
            elif "mask" in info.name:
                mask = np.ones(shape, kind)
                mask[0, : shape[1] // 4] = 0
                feed[info.name] = mask
            elif shape:
                feed[info.name] = generator.integers(3, 99, shape).astype(kind)
            else:
                feed[info.name] = np.array(3, kind)
        return feed


def call(*command, seconds=300):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired as late:
        raise RuntimeError(f"{command[1]}: not done after {seconds} s") from late
    if done.returncode:
        raise RuntimeError(
            f"{command[1]}: {(done.stderr.strip() or done.stdout.strip())[-400:]} (exit code {done.returncode})"
        )
    return done.stdout


def build(options, network, feeds, plan):
    command = [options.planfarm, "build", network.path, "-o", plan, "--effort", "0", *options.build_option]
    if any(not d.HasField("dim_value") for i in network.inputs for d in i.type.tensor_type.shape.dim):
        for flag, pick in (("--min-shapes", min), ("--opt-shapes", lambda sizes: sizes[0]), ("--max-shapes", max)):
            parts = [
                f"{name}:{'x'.join(str(pick([f[name].shape[k] for f in feeds])) for k in range(value.ndim))}"
                for name, value in feeds[0].items()
                if value.ndim
            ]
            command += [flag, ",".join(parts)]
    started = time.monotonic()
    call(*command)
    return time.monotonic() - started


def run(options, network, plan, feed, folder):
    command = [options.planfarm, "run", plan, "--output-dir", folder]
    for position, (name, value) in enumerate(feed.items()):
        path = os.path.join(folder, f"in{position}.npy")
        np.save(path, value)
        command += ["--input", f"{name}={path}"]
    call(*command)
    return [np.load(os.path.join(folder, name.replace("/", "_") + ".npy")) for name in network.outputs]


def exact_outputs(made, feed):
    """The module's outputs in FP64; None when it has none (scripted, or with types of its own)."""
    try:
        tensors = [torch.tensor(v) for v in feed.values()]
        with torch.no_grad():
            out = made.module.double()(*(t.double() if t.is_floating_point() else t for t in tensors))
        return [t.numpy() for t in (out if isinstance(out, tuple) else (out,))]
    except Exception:  # whatever a module may raise
        return None


def worst_of(got, want):
    return max(apart(g, w) for g, w in zip(got, want))


def own_noise(network, feed, want):
    """How far ONNX Runtime is from itself with all optimizations, and with inputs that are off by a millionth."""
    everything = onnxruntime.SessionOptions()
    everything.log_severity_level = 4
    session = onnxruntime.InferenceSession(network.path, everything, providers=["CPUExecutionProvider"])
    most = worst_of(session.run(None, feed), want)
    for seed in range(4):
        generator = np.random.default_rng(seed)
        moved = {
            k: (v * (1 + 1e-6 * generator.standard_normal(v.shape))).astype(v.dtype) if v.dtype == np.float32 else v
            for k, v in feed.items()
        }
        most = max(most, worst_of(network.session.run(None, moved), want))
    return most


def judge(network, made, limit, feed, got, want):
    """The error, whether it may be that large, and what is to be said of it. Where ONNX Runtime differs, PyTorch in
    FP64 says who is right; a network made from another (quantized) has no judge but ONNX Runtime's own noise."""
    error = worst_of(got, want)
    if error <= limit:
        return error, True, ""
    if not made:
        noise = own_noise(network, feed, want)
        return error, error <= 2 * noise, f"ONNX Runtime is {noise:.1e} from itself"
    exact = exact_outputs(made, feed)
    if not exact or len(exact) != len(got):
        return error, False, ""
    error = worst_of(got, exact)
    said = f"against PyTorch in FP64, which ONNX Runtime is {worst_of(want, exact):.1e} from"
    return error, error <= limit, said


def compare(options, path, made, limit, derived):
    network = Network(path, made.inputs)
    dynamic = any(not d.HasField("dim_value") for i in network.inputs for d in i.type.tensor_type.shape.dim)
    feeds = [network.feed(made.axes, case) for case in range(2 if dynamic else 1)]
    wanted = wanted_outputs(network, feeds)
    with tempfile.TemporaryDirectory() as folder:
        plan = os.path.join(folder, "network.plan")
        seconds = build(options, network, feeds, plan)
        worst, right, remark = 0.0, True, ""
        for feed, want in zip(feeds, wanted):
            got = run(options, network, plan, feed, folder)
            error, good, said = judge(network, None if derived else made, limit, feed, got, want)
            worst, right, remark = max(worst, error), right and good, remark or said
    return seconds, worst, right, remark


class NoAnswer(Exception):
    """There is nothing to compare with."""


def wanted_outputs(network, feeds):
    try:
        wanted = [network.session.run(None, f) for f in feeds]
    except Exception as reason:  # ONNX Runtime has several kinds
        raise NoAnswer(f"ONNX Runtime: {reason}") from reason
    if not any(w.size and w.max() > w.min() for want in wanted for w in want):
        raise NoAnswer("the outputs are empty or constant")
    return wanted
