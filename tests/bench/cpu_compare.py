#!/usr/bin/env python3
"""planfarm against ONNX Runtime's CPU provider on this machine, side by side in one run, as a table.

usage: cpu_compare.py --planfarm PROGRAM --models FOLDER [--work FOLDER] [--threads N] [--rounds N] [--seconds S] [--effort E]
                      [--results FILE.json] [--out TABLE.md] MODEL:BATCH ...

FOLDER of --models holds <model>.onnx with weights made (tests/models/materialize.py).  For each case: a cold build with an empty timing cache, a warm
one that must time nothing and give the same bytes, the time to load the plan, then rounds in which both take turns with the same number of threads.
The figure of a round is the median latency; the table holds the median over rounds with its spread and their ratio (above 1: planfarm is faster).
Peak memory is VmHWM of each process; in brackets how much of the peer's was there before it opened the model (Python and its libraries).
With --results the figures are kept in a file and joined with those already there, so that a long comparison can be made in slices.
Run it with the Python of build/venv (ops/setup --tests).
"""
import argparse, json, math, os, shutil, statistics, subprocess, sys, tempfile, time

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
import json, statistics, sys, time
import numpy as np, onnxruntime as ort
def peak_kib(): return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
path, threads, seconds, shapes = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), json.loads(sys.argv[4])
before = peak_kib()
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
print(json.dumps(dict(median_ms=statistics.median(times), load_s=load, before_kib=before, version=ort.__version__)))
"""


def peak_kib(pid):
    """High-water mark of a process's resident memory; 0 once it is gone."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0)
    except OSError:
        return 0


def run_json(words):
    """What the command printed as JSON, and the peak of its memory in MiB (read until it ends, every 10 ms)."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process, peak = subprocess.Popen(words, stdout=out, stderr=errors), 0
        while process.poll() is None:
            peak = max(peak, peak_kib(process.pid))
            time.sleep(0.01)
        out.seek(0), errors.seek(0)
        text = out.read()
        if process.returncode:
            raise RuntimeError(f"{' '.join(words[:3])}: exit {process.returncode}: {errors.read().strip()[-400:]}")
    return json.loads(text[text.index("{"):]), peak / 1024


def build_twice(args, case, path, text):
    plan, cache = (os.path.join(args.work, case.replace(":", "_") + end) for end in (".plan", ".cache"))
    shutil.rmtree(cache, ignore_errors=True)
    build = [args.planfarm, "build", path, "--cache", cache, "--threads", str(args.threads), "--effort", str(args.effort), "--json"]
    build += ["--shapes", text] if text else []
    start = time.time(); cold, peak = run_json(build + ["-o", plan]); cold_s = time.time() - start
    start = time.time(); warm, _ = run_json(build + ["-o", plan + ".warm"]); warm_s = time.time() - start
    with open(plan, "rb") as a, open(plan + ".warm", "rb") as b:
        same = a.read() == b.read()
    return plan, dict(cold_s=cold_s, cold_timed=cold["candidates_timed"], warm_s=warm_s, warm_timed=warm["candidates_timed"], same=same,
                      build_mib=peak, error=cold["max_rel_error"])


def measure(args, case):
    model, batch = case.split(":")
    shapes = {} if model in STATIC else SHAPES.get(model, lambda b: {"input": (b, 3, 224, 224)})(int(batch))
    text = ",".join(f"{name}:{'x'.join(map(str, dims))}" for name, dims in shapes.items())
    path = os.path.join(args.models, model + ".onnx")
    plan, row = build_twice(args, case, path, text)
    bench = [args.planfarm, "bench", plan, "--threads", str(args.threads), "--duration", str(args.seconds), "--json"]
    peer = [sys.executable, "-c", PEER, path, str(args.threads), str(args.seconds), json.dumps(shapes)]
    row.update(ours=[], theirs=[], ours_mib=0, theirs_mib=0)
    for _ in range(args.rounds):
        report, peak = run_json(bench)
        row["ours"].append(report["compute_ms"]["median"])
        row["ours_mib"] = max(row["ours_mib"], peak)
        row["load_ms"] = report["plan_load_seconds"] * 1e3
        report, peak = run_json(peer)
        row["theirs"].append(report["median_ms"])
        row["theirs_mib"] = max(row["theirs_mib"], peak)
        row.update(theirs_before_mib=report["before_kib"] / 1024, theirs_load_ms=report["load_s"] * 1e3, version=report["version"])
    return row


def ratio_of(row):
    return statistics.median(row["theirs"]) / statistics.median(row["ours"])


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def table_row(case, r):
    if "problem" in r:
        return f"| {case} | {r['problem']} |"
    return (f"| {case} | {spread(r['ours'])} | {spread(r['theirs'])} | {ratio_of(r):.2f} | {r['cold_s']:.1f} / {r['cold_timed']} "
            f"| {r['warm_s']:.2f} / {r['warm_timed']} | {'yes' if r['same'] else 'no'} | {r['load_ms']:.1f} / {r['theirs_load_ms']:.0f} "
            f"| {r['ours_mib']:.0f} / {r['theirs_mib']:.0f} ({r['theirs_before_mib']:.0f}) | {r['build_mib']:.0f} | {r['error']:.1e} |")


def table(args, results):
    versions = sorted({r["version"] for r in results.values() if "version" in r})
    lines = [f"threads {args.threads}, {args.rounds} rounds of {args.seconds:g} s, effort {args.effort}, peer ONNX Runtime {', '.join(versions)}", "",
             "| case | planfarm ms | ONNX Runtime ms | ratio | cold s / timed | warm s / timed | same bytes | load ms (theirs) | peak MiB (theirs) | build MiB | max error |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    lines += [table_row(case, results[case]) for case in results]
    ratios = [ratio_of(r) for r in results.values() if "problem" not in r]
    if ratios:
        lines += ["", f"geometric mean of the ratios: {math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}"]
    return "\n".join(lines) + "\n"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--planfarm", required=True)
    p.add_argument("--models", required=True)
    p.add_argument("--work")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--effort", type=int, default=2)
    p.add_argument("--results")
    p.add_argument("--out")
    p.add_argument("cases", nargs="+")
    args = p.parse_args()
    args.work = args.work or tempfile.mkdtemp(prefix="planfarm-cpu-")
    os.makedirs(args.work, exist_ok=True)
    results = {}
    if args.results and os.path.exists(args.results):
        with open(args.results) as kept:
            results = json.load(kept)
    for case in args.cases:
        try:
            results[case] = measure(args, case)
        except RuntimeError as problem:
            results[case] = dict(problem=str(problem))
        print(table_row(case, results[case]), flush=True)
        if args.results:
            with open(args.results, "w") as kept:
                json.dump(results, kept, indent=1)
    text = table(args, results)
    print("\n" + text, end="")
    if args.out:
        with open(args.out, "w") as out:
            out.write(text)


if __name__ == "__main__":
    main()
