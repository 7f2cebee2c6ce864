#!/usr/bin/env python3
"""planfarm against PyTorch on one GPU, side by side in one run, as a table.

usage: gpu_compare.py --models FOLDER --work FOLDER [--rounds N] [--peer-rounds N] [--dtype fp16|bf16|tf32|fp32] [--modes graph,reduce]
                      [--fresh N] [--share PERCENT] [--flags="--effort 1"] [--budget SECONDS] [--out TABLE.md] MODEL:BATCH ...

FOLDER of --models holds <model>.onnx with weights made (tests/models/materialize.py).  For each case: a cold build with an empty timing cache, a
warm one, the accuracy that the build measured, then rounds in which the peer (peer_torch.py) and `planfarm bench` take turns.  The figure of a
round is the median latency of the computation; the table holds the median over rounds and the spread, the peer's best mode, and the ratio.  "device"
is the memory that a context of the plan holds, and in brackets its ratio to the least possible: weights, and the most bytes of activations and
workspace alive at once.  --fresh: the plan also runs on N sets of inputs that no build has seen, beside the reference; the table has the greatest of
their errors and how many are within the limit.  The exit status is 1 when a build failed, or the error, cosine or memory ratio of one was beyond its
limit (marked "!").
"""
import argparse, json, math, os, statistics, subprocess, sys, time

from gpu_cases import shapes_of

FLAGS = {"fp16": ["--fp16"], "bf16": ["--bf16"], "tf32": ["--tf32"], "fp32": []}
ERRORS = {"fp16": 1e-2, "bf16": 8e-2, "tf32": 1e-3, "fp32": 1e-3}      # of the output's range
COSINE = 0.999
MEMORY_RATIO = 1.1


def planfarm(*words):
    """The one JSON object that a verb prints, or None with the reason on standard error."""
    done = subprocess.run(["planfarm", *words, "--json"], capture_output=True, text=True)
    if done.returncode:
        print(f"planfarm {' '.join(words)}: exit {done.returncode}: {done.stderr.strip()[-600:]}", file=sys.stderr, flush=True)
        return None
    return json.loads(done.stdout)


def build(args, model, batch, plan, cache):
    words = ["build", os.path.join(args.models, model + ".onnx"), "-o", plan, "--device", args.device, "--cache", cache, *FLAGS[args.dtype], *args.flags.split()]
    shapes = shapes_of(model, batch)
    if shapes:
        words += ["--shapes", shapes]
    if args.share != 100:
        words += ["--share", str(args.share)]
    os.sync()       # what was written before, weights above all, is not to be waited for by this build
    start = time.time()
    report = planfarm(*words)
    return dict(report, wall_seconds=time.time() - start) if report else None


def peer_round(args, case):
    here = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run([sys.executable, os.path.join(here, "peer_torch.py"), "--modes", args.modes, "--dtype", args.dtype, case],
                          capture_output=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {row["mode"]: row["median_ms"] for row in rows if "median_ms" in row}


def limited(text, good):
    return text if good else text + " !"


def judge(args, cold):
    """The cells for accuracy and memory, and whether all is within its limit.  A plan that could not be compared has an error of -1."""
    error, cosine, ratio = cold["max_rel_error"], cold["least_cosine"], cold["device_ratio"]
    good = [0 <= error <= ERRORS[args.dtype], cosine >= COSINE, ratio <= MEMORY_RATIO]
    cells = [limited(f"{error:.2e}", good[0]), limited(f"{cosine:.6f}", good[1]), limited(f"{cold['device_bytes'] / 2**20:.1f} ({ratio:.3f})", good[2])]
    return cells, all(good)


def fresh_cell(args, model, plan):
    """The greatest error on inputs of other seeds than the build's, and how many of them are within the limit."""
    limit = ERRORS[args.dtype]
    words = ["run", plan, "--device", args.device, "--compare-reference", "--model", os.path.join(args.models, model + ".onnx"), "--tolerance", str(limit)]
    errors = []
    for seed in range(1001, 1001 + args.fresh):
        done = subprocess.run(["planfarm", *words, "--seed", str(seed), "--json"], capture_output=True, text=True)
        found = json.loads(done.stdout).get("differences", []) if done.stdout.startswith("{") else []
        errors += [max(math.inf if difference["max_rel_range"] is None else difference["max_rel_range"] for difference in found)] if found else []
    within = sum(0 <= error <= limit for error in errors)
    return limited(f"{max(errors):.1e} ({within} of {args.fresh})", within == args.fresh) if errors else ""


def middle(values):
    return statistics.median(values) if values else float("nan")


def spread(values):
    return f"{min(values):.3f}-{max(values):.3f}" if values else "-"


def run_case(args, case, table):
    model, batch = case.split(":")
    plan, cache = (os.path.join(args.work, f"{model}_{batch}.{end}") for end in ("plan", "cache"))
    cold = build(args, model, int(batch), plan, cache)
    if not cold:
        table.append(f"| {case} | - | - | - | build failed | - | - | - | - | - | - | - |")
        return False
    warm = build(args, model, int(batch), plan + ".warm", cache)
    same = warm and open(plan, "rb").read() == open(plan + ".warm", "rb").read()
    if warm:
        print(f"{case}: the warm build took {warm['wall_seconds']:.2f} s with its process and the plan's way to disk, {warm['build_seconds']:.2f} without; "
              + ", ".join(f"{part} {seconds:.2f}" for part, seconds in warm["phases"].items() if seconds >= 0.01), flush=True)
    ours, peers = [], {}
    for turn in range(args.rounds):
        bench = planfarm("bench", plan, "--device", args.device, "--duration", "1")
        if bench:
            ours.append(bench["compute_ms"]["median"])
        if args.modes and turn < args.peer_rounds:
            for mode, ms in peer_round(args, case).items():
                peers.setdefault(mode, []).append(ms)
    best = min(peers, key=lambda mode: middle(peers[mode])) if peers else None
    theirs = middle(peers[best]) if best else float("nan")
    (error, cosine, device), good = judge(args, cold)
    peer = f"{theirs:.3f} ({best}, {spread(peers[best])}) | {theirs / middle(ours):.2f}" if best else " | "
    table.append(f"| {case} | {middle(ours):.3f} ({spread(ours)}) | {peer} | {error} | {fresh_cell(args, model, plan)} | {cosine} | "
                 f"{cold['wall_seconds']:.1f} / {cold['candidates_timed']} | "
                 f"{warm['wall_seconds'] if warm else float('nan'):.2f} / {warm['candidates_timed'] if warm else '-'} | {'yes' if same else 'no'} | "
                 f"{cold['plan_bytes'] >> 20} | {device} |")
    print(table[-1], flush=True)
    return good


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--models", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--peer-rounds", type=int, default=1 << 30, help="the peer takes no more turns than this: it starts slowly")
    p.add_argument("--fresh", type=int, default=0, help="sets of inputs that no build has seen")
    p.add_argument("--dtype", default="fp16", choices=FLAGS)
    p.add_argument("--device", default="cuda:0")
    p.add_argument("--flags", default="", help="more build flags: --flags=\"--effort 1\"")
    p.add_argument("--modes", default="graph,reduce")
    p.add_argument("--share", type=int, default=100)
    p.add_argument("--budget", type=float, default=500)
    p.add_argument("--out")
    p.add_argument("cases", nargs="+")
    args = p.parse_args()
    os.makedirs(args.work, exist_ok=True)
    end = time.time() + args.budget
    table = ["| case | planfarm ms (spread) | PyTorch ms (mode, spread) | ratio | max error | of fresh inputs | cosine | cold s / timed | warm s / timed | "
             "same bytes | MiB | device MiB |", "| --- " * 12 + "|"]
    good = True
    for case in args.cases:
        if time.time() > end:
            print("out of budget before", case, file=sys.stderr)
            break
        good &= run_case(args, case, table)
    text = "\n".join(table) + "\n"
    print(text)
    if args.out:
        open(args.out, "w").write(text)
    sys.exit(not good)


if __name__ == "__main__":
    main()
