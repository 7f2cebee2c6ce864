#!/usr/bin/env python3
"""Plans for ranges of sizes: right at their least, usual, greatest and odd sizes, and what a range costs there.

usage: ranges.py --models FOLDER --work FOLDER [--device cuda:0] [--flags="--fp16"] [--effort 2] [--limit 1e-2] [--jobs 4] [--exact] [MODEL ...]

FOLDER of --models holds <model>.onnx with weights made (tests/models/materialize.py).  Each network is built once, for the range that CASES
gives it or, where it gives none, for what a build without shapes makes of it; one context then runs it at each size, one after the other, and the
outputs are compared with the references'.  --exact also builds a plan for each size alone, and benches both in turns: times mean little unless
--jobs is 1.  A line for each size; the exit status is 1 when a build or a run fails, or an output is off by more than the limit.
"""
import argparse, concurrent.futures, json, os, subprocess, sys

IMAGES = [f"input:{n}x3x224x224" for n in (1, 2, 17)]
LATENTS = [f"latent:{n}x4x64x64" for n in (1, 3, 8)]


def tokens(*names):
    """At lengths that are no multiple of anything, too."""
    return [",".join(f"{name}:{size}" for name in names) for size in ("1x128", "1x1", "3x77", "5x256", "8x31")]


def sequences(*names):
    """Least, usual and greatest sizes."""
    return [",".join(f"{name}:{size}" for name in names) for size in ("1x1", "1x128", "8x256")]


CASES = {   # range of the build (None: its own), sizes of the runs; not efficientnet_b0, which no 16 bits hold in batches (docs/MEASURING.md)
    "resnet50": (None, IMAGES),
    "mobilenet_v3_large": (None, IMAGES),
    "vit_b_16": (None, IMAGES),
    "unet": (None, LATENTS),
    "bert_base": (sequences("input_ids", "attention_mask"), tokens("input_ids", "attention_mask")),
    "gpt2": (sequences("input_ids"), tokens("input_ids")),
    "llama_4l": (sequences("input_ids"), tokens("input_ids")),
}


def planfarm(*words):
    """The one JSON object that a verb prints; a verb that found outputs off still prints it."""
    done = subprocess.run(["planfarm", *words, "--json"], capture_output=True, text=True)
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"planfarm {words[0]}: exit {done.returncode}: {done.stderr.strip()[-300:]}") from None


def build(args, model, plan, shapes):
    """For a range (three shapes), one shape, or the network's own range (None)."""
    options = [] if shapes is None else ["--shapes", shapes] if isinstance(shapes, str) else [
        word for option, shape in zip(("--min-shapes", "--opt-shapes", "--max-shapes"), shapes) for word in (option, shape)]
    return planfarm("build", model, "-o", plan, "--device", args.device, "--cache", plan + ".cache", "--effort", str(args.effort), *args.flags.split(), *options)


def median_ms(args, plan, shapes):
    return planfarm("bench", plan, "--device", args.device, "--shapes", shapes, "--duration", "0.3")["compute_ms"]["median"]


def compare_times(args, model, plan, shapes):
    exact = f"{plan}.exact"
    build(args, model, exact, shapes)
    turns = [(median_ms(args, plan, shapes), median_ms(args, exact, shapes)) for _ in range(2)]
    ranged, alone = (min(turn[side] for turn in turns) for side in (0, 1))
    return f"  {ranged:.3f} ms, {alone:.3f} when built for it alone, ratio {ranged / alone:.2f}"


def run(args, model, plan, shapes, seed):
    """Whether it was right, and a line that says so."""
    report = planfarm("run", plan, "--device", args.device, "--shapes", shapes, "--seed", str(seed), "--compare-reference", "--model", model,
                      "--tolerance", str(args.limit))
    error = max(d["max_rel_range"] for d in report["differences"])
    cosine = min(d["cosine"] for d in report["differences"])
    right = error <= args.limit and cosine >= 0.999
    return right, f"{'right' if right else 'WRONG'}  {shapes}: error {error:.1e}, cosine {cosine:.6f}"


def check(args, name):
    """Whether all sizes of a network were right, and the lines that say so."""
    shapes_of_build, sizes = CASES[name]
    model, plan = os.path.join(args.models, name + ".onnx"), os.path.join(args.work, name + ".plan")
    try:
        report = build(args, model, plan, shapes_of_build)
        lines, right = [f"{name}: built in {report['build_seconds']:.1f} s, {report['candidates_timed']} candidates timed"], True
        for seed, shapes in enumerate(sizes, 1):
            fine, line = run(args, model, plan, shapes, seed)
            right &= fine
            lines.append("  " + line + (compare_times(args, model, plan, shapes) if args.exact else ""))
        return right, lines
    except RuntimeError as problem:
        return False, [f"{name}: {problem}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--flags", default="--fp16", help='build flags: --flags=--fp16')
    parser.add_argument("--effort", type=int, default=2)
    parser.add_argument("--limit", type=float, default=1e-2, help="greatest error, of the range of an output")
    parser.add_argument("--jobs", type=int, default=4, help="networks at a time")
    parser.add_argument("--exact", action="store_true", help="also against plans for each size alone")
    parser.add_argument("networks", nargs="*", default=[], metavar="MODEL")
    args = parser.parse_args()
    unknown = [name for name in args.networks if name not in CASES]
    if unknown:
        sys.exit(f"ranges.py: no case for {', '.join(unknown)}; there are {', '.join(CASES)}")
    os.makedirs(args.work, exist_ok=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for right, lines in pool.map(lambda name: check(args, name), args.networks or CASES):
            failed += not right
            print("\n".join(lines), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
