#!/usr/bin/env python3
"""planfarm against ONNX Runtime's CPU provider on this machine, side by side in one run, as a table.

usage: cpu_compare.py --planfarm PROGRAM --models FOLDER [--work FOLDER] [--threads N] [--rounds N] [--seconds S] [--effort E] [--out TABLE.md] MODEL:BATCH ...

FOLDER of --models holds <model>.onnx with weights made (tests/models/materialize.py).  For each case: a cold build with an empty timing cache, a warm
one that must time nothing and give the same bytes, the time to load the plan, then rounds in which both take turns with the same number of threads.
The figure of a round is the median latency; the table holds the median over rounds with its spread, their ratio (above 1: planfarm is faster), and the
peak memory of each process.  Run it with the Python of build/venv (ops/setup --tests).
"""
import argparse, json, math, os, statistics, subprocess, sys, tempfile, time

SEQUENCE = 128
SHAPES = {
    "bert_base": lambda b: {"input_ids": (b, SEQUENCE), "attention_mask": (b, SEQUENCE)},
    "gpt2": lambda b: {"input_ids": (b, SEQUENCE)},
    "llama_4l": lambda b: {"input_ids": (b, SEQUENCE)},
    "unet": lambda b: {"latent": (b, 4, 64, 64)},
}
STATIC = {"deeplabv3_resnet50", "bvlc_alexnet_opset9", "resnet50_opset9", "shufflenet_opset9", "inception_v2_opset9", "squeezenet_opset9"}

# Times one session of ONNX Runtime; a process of its own, so that its memory is its own.
PEER = r"""
import json, os, resource, statistics, sys, time
import numpy as np, onnxruntime as ort
path, threads, seconds, shapes = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), json.loads(sys.argv[4])
options = ort.SessionOptions()
options.intra_op_num_threads = threads
options.inter_op_num_threads = 1
start = time.perf_counter()
session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
load = time.perf_counter() - start
rng = np.random.default_rng(0)
feed = {}
for i in session.get_inputs():
    shape = shapes.get(i.name) or [d if isinstance(d, int) else 1 for d in i.shape]
    feed[i.name] = rng.integers(0, 2 if "mask" in i.name else 1000, shape) if "int" in i.type else rng.standard_normal(shape, dtype=np.float32)
for _ in range(3): session.run(None, feed)
times, end = [], time.perf_counter() + seconds
while len(times) < 5 or time.perf_counter() < end:
    t = time.perf_counter(); session.run(None, feed); times.append((time.perf_counter() - t) * 1e3)
print(json.dumps(dict(median_ms=statistics.median(times), load_s=load, peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)))
"""


def run_json(words, env=None):
    done = subprocess.run(words, capture_output=True, text=True, env=env)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:3])}: exit {done.returncode}: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout[done.stdout.index("{"):])


def peak_mib(words):
    """Peak memory of a command, by the kernel's account of a child that ran nothing else."""
    code = "import resource,subprocess,sys; r=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL).returncode; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss>>10); sys.exit(r)"
    return int(subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True).stdout or 0)


def case_row(args, case):
    model, batch = case.split(":")
    batch = int(batch)
    shapes = {} if model in STATIC else SHAPES.get(model, lambda b: {"input": (b, 3, 224, 224)})(batch)
    text = ",".join(f"{name}:{'x'.join(map(str, dims))}" for name, dims in shapes.items())
    path = os.path.join(args.models, model + ".onnx")
    plan, cache = (os.path.join(args.work, f"{model}_{batch}.{end}") for end in ("plan", "cache"))
    build = [args.planfarm, "build", path, "--cache", cache, "--threads", str(args.threads), "--effort", str(args.effort), "--json"]
    build += ["--shapes", text] if text else []
    start = time.time(); cold = run_json(build + ["-o", plan]); cold_s = time.time() - start
    start = time.time(); warm = run_json(build + ["-o", plan + ".warm"]); warm_s = time.time() - start
    same = open(plan, "rb").read() == open(plan + ".warm", "rb").read()
    bench = [args.planfarm, "bench", plan, "--threads", str(args.threads), "--duration", str(args.seconds), "--json"]
    peer = [sys.executable, "-c", PEER, path, str(args.threads), str(args.seconds), json.dumps(shapes)]
    ours, theirs, load, peers = [], [], None, None
    for _ in range(args.rounds):
        report = run_json(bench)
        ours.append(report["compute_ms"]["median"])
        load = report["plan_load_seconds"] * 1e3
        peers = run_json(peer)
        theirs.append(peers["median_ms"])
    ratio = statistics.median(theirs) / statistics.median(ours)
    load_text = f"{load:.0f}" if load is not None else "-"
    row = (f"| {case} | {statistics.median(ours):.2f} ({min(ours):.2f}-{max(ours):.2f}) | {statistics.median(theirs):.2f} ({min(theirs):.2f}-{max(theirs):.2f}) "
           f"| {ratio:.2f} | {cold_s:.1f} / {cold['candidates_timed']} | {warm_s:.1f} / {warm['candidates_timed']} | {'yes' if same else 'no'} | {load_text} / "
           f"{peers['load_s'] * 1e3:.0f} | {peak_mib(bench)} / {peers['peak_mib']} | {cold['max_rel_error']:.1e} |")
    return row, ratio


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--planfarm", required=True)
    p.add_argument("--models", required=True)
    p.add_argument("--work")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--effort", type=int, default=2)
    p.add_argument("--out")
    p.add_argument("cases", nargs="+")
    args = p.parse_args()
    args.work = args.work or tempfile.mkdtemp(prefix="planfarm-bench-")
    os.makedirs(args.work, exist_ok=True)
    lines = [f"threads {args.threads}, {args.rounds} rounds of {args.seconds:g} s, effort {args.effort}, ONNX Runtime's CPU provider as the peer", "",
             "| case | planfarm ms | ONNX Runtime ms | ratio | cold s / timed | warm s / timed | same bytes | load ms (theirs) | peak MiB (theirs) | max error |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    print("\n".join(lines), flush=True)
    ratios = []
    for case in args.cases:
        try:
            row, ratio = case_row(args, case)
            ratios.append(ratio)
        except RuntimeError as problem:
            row = f"| {case} | {problem} |"
        lines.append(row)
        print(row, flush=True)
    if ratios:
        lines += ["", f"geometric mean of the ratios: {math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}"]
        print(lines[-1])
    if args.out:
        open(args.out, "w").write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
