#!/usr/bin/env python3
"""How good the choices of builds are: what each costs against the best of its candidates, timed again and long, and whether two builds agree.

usage: regret.py --models FOLDER --work FOLDER [--device cuda:0] [--flags="--fp16"] [--problems 50] [--agree] [--builds 2] [--cold] [--seconds S] MODEL:BATCH ...

FOLDER of --models holds <model>.onnx with weights made (tests/models/materialize.py).  All cases are built with one cold timing cache; then `planfarm
cache retime` times all candidates of N of their problems, and the regret is what the chosen one takes over the best.
Each candidate that is close to the best is timed in five to forty places of memory: where data lie changes a kernel's time by some percent.
A build tries other candidates in the whole network and exchanges some for what is slower alone.  So there are two regrets:
of the choice by the times alone, and of what the plan holds; and what the exchanges are worth is measured where they were
made: the plan against one without them, of the same timings (--effort 1 exchanges nothing), benched in turns.
With --agree each case is built once more, or until there are --builds of it, each with timings of its own (and the kernels that the
first one compiled; with --cold its own): layers with equal choices, the worst two builds and the average of all pairs, and the plans' latencies, benched in turns.
What builds log, as PF_LOG asks, is kept beside their plans, and what timing again does in FOLDER/retime.log.
The last line is JSON, also written to FOLDER/regret.json of --work.
"""
import argparse, collections, itertools, json, os, shutil, statistics, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
from gpu_cases import shapes_of


def planfarm(*words, log=None):
    """The one JSON object that a verb prints; the reason on standard error when it fails, and all of that in log."""
    done = subprocess.run(["planfarm", *words, "--json"], capture_output=True, text=True)
    if log:
        open(log, "w").write(done.stderr)
    if done.returncode:
        sys.exit(f"planfarm {' '.join(words)}: exit {done.returncode}: {done.stderr.strip()[-600:]}")
    return json.loads(done.stdout)


def build(args, case, cache, plan, *more):
    model, batch = case.split(":")
    shapes = shapes_of(model, int(batch))
    words = ["build", os.path.join(args.models, model + ".onnx"), "-o", plan, "--device", args.device, "--cache", cache, *args.flags.split(), *more]
    start = time.time()
    report = planfarm(*words, *(["--shapes", shapes] if shapes else []), log=plan + ".log")
    print(f"built {case} in {time.time() - start:.1f} s, {report['candidates_timed']} candidates timed", flush=True)


def choices(plan):
    """Of each layer by its name; layers of one name are numbered."""
    seen, out = collections.Counter(), {}
    for layer in planfarm("inspect", plan)["layers"]:
        seen[layer["name"]] += 1
        out[layer["name"], seen[layer["name"]]] = (layer["tactic"], layer["tuning"], layer["problem"].split("\n")[0])
    return out


def agreement(one, two):
    first, second = choices(one), choices(two)
    both = [key for key in first if key in second]
    layers = max(len(first), len(second))
    share = lambda parts: sum(first[key][parts] == second[key][parts] for key in both) / layers
    return {"layers": layers, "equal_tactics": share(slice(1)), "equal_choices": share(slice(2)), "equal_choices_and_layouts": share(slice(3))}


def latencies(args, plans):
    """Medians over rounds in which the plans take turns."""
    times = [[] for _ in plans]
    for _ in range(args.rounds):
        for i, plan in enumerate(plans):
            times[i].append(planfarm("bench", plan, "--device", args.device, "--duration", str(args.bench_seconds))["compute_ms"]["median"])
    return [statistics.median(t) for t in times]


def measure_regret(args, plans, cache):
    words = ["cache", "retime", *plans, "--cache", cache, "--device", args.device, "--problems", str(args.problems)]
    found = planfarm(*words, "--effort", str(args.effort), *(["--seconds", str(args.seconds)] if args.seconds else []),
                     log=os.path.join(args.work, "retime.log"))
    worst = sorted((p for p in found["problems"] if "regret" in p), key=lambda p: -p["regret"])
    print(f"timed again, {found['timed']} problems; {found['contended']} contended, {found['failed']} failed, "
          f"{found['single_candidate']} more with a single candidate")
    for what, key, within in (("regret of the choice by the times alone", "first_regret", "first_within_2_percent"),
                              (f"of what the plans hold, {found['exchanged']} exchanged for what is faster in the network", "regret", "within_2_percent")):
        print(f"{what}: median {found[key]['median']:.4f}, 90 % {found[key]['p90']:.4f}, worst {found[key]['worst']:.4f}; {found[within]} within 2 %")
    for p in worst[:8]:
        print(f"  {p['regret']:.4f}  {p['layer'][:60]}: {p['tactic']} {p['tuning']} {p['chosen_ns']} ns; best {p['best_tactic']} {p['best_tuning']} "
              f"{p['best_ns']} ns" + (f"; exchanged, before that {p['first_regret']:.4f}" if p["exchanged"] else ""))
    print(flush=True)
    return found


def report_exchanges(case, plan, without, with_ms, without_ms):
    """What the exchanges made in the network are worth there: the ratio of latencies with them and without."""
    first, kept = choices(without), choices(plan)
    exchanged = sum(first.get(key) != value for key, value in kept.items())
    print(f"exchanges in {case}: {exchanged} of {len(kept)} layers; {with_ms:.4f} ms with them, {without_ms:.4f} without, "
          f"ratio {with_ms / without_ms:.4f}", flush=True)
    return {"layers": exchanged, "with_ms": with_ms, "without_ms": without_ms, "ratio": with_ms / without_ms}


def report_agreement(case, plans, latency_ms):
    pairs = [agreement(one, two) for one, two in itertools.combinations(plans, 2)]
    parts = [key for key in pairs[0] if key != "layers"]
    found = {"builds": len(plans), "layers": pairs[0]["layers"], **{key: min(pair[key] for pair in pairs) for key in parts},
             "average": {key: statistics.mean(pair[key] for pair in pairs) for key in parts}, "latency_ms": latency_ms}
    found["latency_ratio"] = max(latency_ms) / min(latency_ms)
    print(f"agreement of {case}, {len(plans)} builds: of {found['layers']} layers at least {100 * found['equal_choices']:.1f} % "
          f"(on average {100 * found['average']['equal_choices']:.1f} %) have equal choices (tactic and tuning), "
          f"{100 * found['equal_tactics']:.1f} % equal tactics, {100 * found['equal_choices_and_layouts']:.1f} % equal layouts, too; latencies "
          f"{' '.join(f'{ms:.4f}' for ms in latency_ms)} ms, the slowest {found['latency_ratio']:.4f} times the fastest", flush=True)
    return found


def differences(plans):
    """Layers that not all plans do alike, with what each does."""
    done = [choices(plan) for plan in plans]
    for key in done[0]:
        if len({one.get(key, ())[:2] for one in done}) > 1:
            print(f"  {key[0][:60]}: " + " | ".join(" ".join(one[key][:2])[:60] if key in one else "-" for one in done), flush=True)


def measure_case(args, case, plan, cache, found):
    """The other builds, and one without exchanges, all benched in turns."""
    plans, without = [plan], plan + ".first"
    for i in range(1, args.builds if args.agree else 1):
        other = os.path.join(args.work, f"regret.other.{i}")
        if not args.cold and os.path.isdir(os.path.join(cache, "kernels")):
            shutil.copytree(os.path.join(cache, "kernels"), os.path.join(other, "kernels"), dirs_exist_ok=True)
        plans.append(f"{plan}.again.{i}")
        build(args, case, other, plans[-1])
    build(args, case, cache, without, "--effort", "1")
    latency_ms = latencies(args, [*plans, without])
    found["exchanges"][case] = report_exchanges(case, plan, without, latency_ms[0], latency_ms[-1])
    if args.agree:
        found["agreement"][case] = report_agreement(case, plans, latency_ms[:-1])
        differences(plans)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--models", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--device", default="cuda:0")
    p.add_argument("--flags", default="", help="build flags: --flags=--fp16")
    p.add_argument("--problems", type=int, default=50)
    p.add_argument("--effort", type=int, default=4, help="of timing again")
    p.add_argument("--seconds", type=float, default=0, help="begin no further problem after that time")
    p.add_argument("--bench-seconds", type=float, default=0.5)
    p.add_argument("--rounds", type=int, default=3, help="of benches, in which the plans of a case take turns")
    p.add_argument("--agree", action="store_true")
    p.add_argument("--cold", action="store_true", help="with --agree: each build compiles its kernels itself")
    p.add_argument("--builds", type=int, default=2, help="of each case, with --agree")
    p.add_argument("cases", nargs="+")
    args = p.parse_args()
    os.makedirs(args.work, exist_ok=True)
    cache = os.path.join(args.work, "regret.cache")
    for folder in (cache, *(os.path.join(args.work, f"regret.other.{i}") for i in range(1, args.builds))):
        shutil.rmtree(folder, ignore_errors=True)
    plans = [os.path.join(args.work, case.replace(":", "_") + ".plan") for case in args.cases]
    for case, plan in zip(args.cases, plans):
        build(args, case, cache, plan)
    found = {"cases": args.cases, "device": args.device, "flags": args.flags, "retime": measure_regret(args, plans, cache),
             "exchanges": {}, "agreement": {}}
    for case, plan in zip(args.cases, plans):
        measure_case(args, case, plan, cache, found)
    json.dump(found, open(os.path.join(args.work, "regret.json"), "w"), indent=1)
    found["retime"] = {key: value for key, value in found["retime"].items() if key != "problems"}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
