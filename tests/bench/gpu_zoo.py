#!/usr/bin/env python3
"""Many networks that nothing was tuned for, on GPUs: built, compared with PyTorch in FP32, and measured beside PyTorch in FP16.

usage: gpu_zoo.py --work FOLDER [--out FOLDER] [--gpus N] [--at-once N] [--exporters N] [--modes graph] [--effort N] [--budget SECONDS] [--keep]
                  [--seconds SECONDS] [--export-only] [--skeletons FOLDER] [NAME[:BATCH] ...]

Networks are those of gpu_zoo_networks.py, gpu_zoo_more.py, gpu_zoo_kinds.py, gpu_zoo_recent.py and gpu_zoo_fields.py, in their order unless named, at batch 1 unless said.  Processes on the CPU export them; one process for each GPU
takes what is exported: reference outputs by PyTorch in FP32 without TF32, PyTorch's time in FP16 (peer_torch.py's modes, with images in both orders of
memory, but what is compiled; the least counts; where none works, launched one by one or by autocast), a cold build with an empty timing cache (--fp16), the plan's outputs on the same inputs, `planfarm bench`, and its layers.
With --skeletons an export that lies in the folder as NAME.skeleton (gpu_zoo_skeleton.py) is filled in rather than made; with --export-only
it is made from each export.  While planfarm builds some networks, PyTorch's next process makes the modules of those that come next.
Nothing else is timed on a GPU while something is measured on it; PyTorch compiles beside what others do.  With --at-once others build meanwhile: PyTorch, in the processes that export, and
`planfarm bench` then take the lock that builds time under, so that figures are of a card that is busy with checks of other builds at most; cold builds take
longer, and their times are marked as disturbed.  Exports give way to builds, but share the CPU with them, so cold builds here are slower than alone anyway.

--out gets table.md, rows.json, and for each network <name>.json: build, its parts, layers and bench as planfarm printed them, and the rules that changed
it.
Nothing is waited for longer than --seconds: then the row says what it was and what it said last, and <name>.log has all that it said and, where there is
cuda-gdb or gdb, its stacks.
An error is the largest difference relative to the range of the output.  The exit status is 1 when a build failed or an error is above 1e-2.
"""
import argparse, contextlib, ctypes, faulthandler, fcntl, glob, io, json, multiprocessing, os, queue, re, shutil, signal, subprocess, sys, threading, time, traceback, warnings
warnings.filterwarnings("ignore")

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models"))

LIMIT = 1e-2
COMPILED = ("reduce", "max")    # modes of peer_torch.py that compile, which chooses its own order of memory
COLUMNS = ("network", "planfarm ms", "PyTorch ms", "ratio", "max error", "cold s", "timed", "layers", "on the host", "remark")


def one_line(reason, length=300):
    return " ".join(str(reason).replace("|", "/").split())[-length:]


# ---- Exporting

def split(case):
    name, _, batch = case.partition(":")
    return name, int(batch or 1)


def make(case):
    """The module and its inputs."""
    import torch, transformers
    from gpu_zoo_fields import NETWORKS
    torch.manual_seed(0)
    transformers.set_seed(0)
    name, batch = split(case)
    with torch.no_grad():
        return NETWORKS[name](batch)


def export(case, folder, skeletons=None):
    """Writes the model, and the module and its inputs beside it, and returns the latter if they were made; attempts the recipe's exporters where there is no
    skeleton."""
    import torch
    import gpu_zoo_skeleton
    from zoo_export import EXPORTERS
    torch.set_num_threads(2)
    path, reasons = os.path.join(folder, case.replace(":", "_") + ".onnx"), []
    skeleton = os.path.join(skeletons, case.replace(":", "_") + ".skeleton") if skeletons else None
    if os.path.exists(path):
        return None
    with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        made = make(case)
        with contextlib.suppress(Exception):        # some cannot be stored: they are made again
            torch.save((made.module, made.inputs, made.axes), path + ".module")
        with contextlib.suppress(OSError, KeyError, ValueError):     # none, or made of another version's module
            gpu_zoo_skeleton.fill(skeleton or "", made.module, path + ".part")
            os.rename(path + ".part", path)
            return made
        for exporter in made.exporters:
            try:
                EXPORTERS[exporter](made, path + ".part")
                os.rename(path + ".part", path)
                if skeleton:
                    gpu_zoo_skeleton.strip(path, made.module, skeleton)
                return made
            except Exception as reason:     # whatever an exporter may raise
                reasons.append(f"{exporter}: {one_line(reason, 150)}")
    raise RuntimeError("not exported: " + "; ".join(reasons))


def card(gpu):
    """What makes a process see one of the GPUs that this one sees."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[gpu] if visible else str(gpu)


def answer_at_once(options, case, made):
    """PyTorch's answers from the process that has made the module anyway; a failure leaves them to a process of its own.  One that takes too long ends the
    process, since nothing else makes a library's call let go of the lock."""
    faulthandler.dump_traceback_later(options.seconds, exit=True)
    try:
        ask_torch(options, case, (made.module, made.inputs, made.axes))
    except Exception:
        traceback.print_exc()
    finally:
        faulthandler.cancel_dump_traceback_later()


def export_all(options, gpu, cases, done):
    """Runs in a process of its own, which keeps out of the way of builds; and off the cards, where whoever measures waits for others to go."""
    shares = options.at_once > 1 and not options.export_only
    os.environ["CUDA_VISIBLE_DEVICES"] = card(gpu) if shares else ""
    os.nice(19)
    while True:
        try:
            case = cases.get_nowait()
        except queue.Empty:
            return
        start, reason = time.time(), None
        try:
            made = export(case, options.work, options.skeletons)
            if shares and made:
                answer_at_once(options, case, made)
        except Exception as problem:
            reason = one_line(problem)
        print(f"exported {case} in {time.time() - start:.1f} s{': ' + reason if reason else ''}", flush=True)
        done.put((case, reason))


# ---- One at a time on a card

def place_of_card():
    """The PCI address of the first GPU that this process sees."""
    cuda, device, place = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), ctypes.create_string_buffer(16)
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0) or cuda.cuDeviceGetPCIBusId(place, 16, device):
        raise RuntimeError("no CUDA device answers; is there a driver?")
    return place.value.decode()


def opened_lock():
    """As engine/timing_lock.c opens it: anyone may lock it afterwards."""
    path = f"/tmp/planfarm-timing-{place_of_card().replace(':', '-')}.lock"
    try:
        return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        os.fchmod(descriptor, 0o666)
        return descriptor


@contextlib.contextmanager
def alone():
    """Under the lock that builds time under, ahead of what else runs: they wait."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    descriptor = opened_lock()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, 0)
        yield
    finally:
        os.close(descriptor)
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, before)


# ---- PyTorch, in a process that is gone when planfarm measures: a card with another process on it is not quiet

def flat(outputs):
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


def cast(value, dtype, layout=None):
    value = value.cuda()
    if value.is_floating_point():
        value = value.to(dtype)
    return value.to(memory_format=layout) if layout and value.ndim == 4 else value


def run_reference(module, inputs):
    import torch
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    with torch.inference_mode():
        return [o.cpu().numpy() for o in flat(module.cuda()(*(cast(v, torch.float32) for v in inputs.values())))]


def load(case, model):
    """The module, its inputs and their axes; made again where it could not be stored."""
    import torch
    try:
        return torch.load(model + ".module", weights_only=False)
    except Exception:
        made = make(case)
        return made.module, made.inputs, made.axes


def reference(case, loaded):
    """The same and what it answers; made again where it does not work any more."""
    try:
        return *loaded, run_reference(*loaded[:2])
    except Exception:
        made = make(case)
        return made.module, made.inputs, made.axes, run_reference(made.module, made.inputs)


def time_of(mode, module, values):
    """Milliseconds.  What is compiled is not yet timed, and takes a minute: others may have the card meanwhile."""
    from peer_torch import median_ms, run_mode
    call = lambda f: f(*values)
    compiled = run_mode(mode, module, call)[1] if mode in COMPILED else None
    with alone():
        return median_ms(compiled or (run_mode(mode, module, call)[1] if mode != "launched" else lambda: call(module)))[0]


def peer_otherwise(module, inputs):
    """Where no mode works: kernels launched one by one, and autocast instead of halving."""
    import torch
    times = {}
    with torch.inference_mode(), contextlib.suppress(Exception):
        times["launched"] = time_of("launched", module.half(), [cast(v, torch.float16) for v in inputs.values()])
    for mode in ("graph", "launched") if not times else ():
        with torch.inference_mode(), torch.autocast("cuda", torch.float16, cache_enabled=False), contextlib.suppress(Exception):
            times[f"autocast {mode}"] = time_of(mode, module.float(), [cast(v, torch.float32) for v in inputs.values()])
    return times


def peer(module, inputs, modes):
    """Milliseconds by mode and order of memory, and what went wrong."""
    import torch
    torch.backends.cudnn.benchmark = True
    images = any(v.ndim == 4 and v.is_floating_point() for v in inputs.values())
    layouts = [torch.contiguous_format] + [torch.channels_last] * images
    times, problem, module = {}, None, module.half()
    for layout in layouts:
        values = [cast(v, torch.float16, layout) for v in inputs.values()]
        for mode in (mode for mode in modes if layout == layouts[-1] or mode not in COMPILED):
            try:
                with torch.inference_mode():
                    placed = module.to(memory_format=layout) if images else module
                    times[f"{mode}{' channels_last' * (layout == torch.channels_last)}"] = time_of(mode, placed, values)
            except Exception as reason:
                problem = one_line(f"{mode}: {reason}", 120)
    if modes and not times:
        times = peer_otherwise(module, inputs)
        problem = f"PyTorch {min(times, key=times.get)}: {problem}" if times else problem
    return times, problem


def ask_torch(options, case, loaded):
    """Writes inputs, expected outputs and times beside the model."""
    import torch
    model = path_of(options, case)
    print(f"{case}: reference", file=sys.stderr)
    with alone():
        module, inputs, axes, expected = reference(case, loaded)
    np.savez(model + ".expected.npz", *expected)
    for name, value in inputs.items():
        np.save(f"{model}.{name}.npy", value.numpy())
    print(f"{case}: times", file=sys.stderr)
    times, problem = peer(module, inputs, [mode for mode in options.modes.split(",") if mode])
    with open(model + ".peer.json", "w") as file:
        json.dump({"inputs": {name: list(v.shape) for name, v in inputs.items()}, "axes": axes, "times": times, "problem": problem}, file)
    del module
    torch.cuda.empty_cache()


# ---- Processes that may take too long

def last_words(log):
    """What it said last, and how long ago."""
    with open(log, errors="replace") as file:
        said = [line for line in file.read().splitlines() if line.strip()]
    return f"last said {time.time() - os.path.getmtime(log):.0f} s ago: {one_line(said[-1], 160)}" if said else "it said nothing"


def stacks(process):
    debugger = shutil.which("cuda-gdb") or shutil.which("gdb")
    if not debugger:
        return ""
    try:
        return subprocess.run([debugger, "-batch", "-p", str(process.pid), "-ex", "thread apply all bt 14"], capture_output=True, text=True, check=False,
                              timeout=30, errors="replace").stdout
    except subprocess.TimeoutExpired:
        return "the debugger was not done after 30 s\n"


def started(words, log, **environment):
    """The process; its log gets what it says."""
    with open(log, "w") as file:
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, env=dict(os.environ, **environment))


def finished(what, process, log, seconds, told=None):
    """What the process prints when it is told so.  Raises what went wrong in one sentence."""
    try:
        out = process.communicate(told, timeout=max(seconds, 1))[0]
    except subprocess.TimeoutExpired:
        said = last_words(log)
        with open(log, "a") as file:
            file.write(stacks(process))
        process.kill()
        process.communicate()
        raise RuntimeError(f"{what}: not done after {seconds:.0f} s, {said}") from None
    if process.returncode:
        with open(log, errors="replace") as file:
            raise RuntimeError(f"{what}: {one_line(file.read(), 200)} (exit code {process.returncode})")
    return out.decode()


def watched(what, words, log, seconds, **environment):
    return finished(what, started(words, log, **environment), log, seconds)


# ---- One network

def path_of(options, case):
    return os.path.join(options.work, case.replace(":", "_") + ".onnx")


def planfarm(options, model, verb, *words):
    """What the verb answers as JSON; its log is beside the model.  What is built is also run."""
    seconds = min(options.seconds, options.end + (10 if verb == "build" else 30) - time.time())
    return watched(verb, ["planfarm", verb, *words], f"{model}.{verb}.log", seconds, PF_LOG="builder:debug,spell:debug,timing:debug")


def profile_of(asked):
    """Options for the sizes that are known at run time: from 1 to twice those of the inputs, for which it is tuned."""
    words = []
    if asked["axes"]:
        for flag, size in (("--min-shapes", lambda d, named: 1 if named else d), ("--opt-shapes", lambda d, named: d),
                           ("--max-shapes", lambda d, named: 2 * d if named else d)):
            parts = (f"{name}:{'x'.join(str(size(d, str(k) in asked['axes'].get(name, {}))) for k, d in enumerate(dims))}"
                     for name, dims in asked["inputs"].items() if dims)
            words += [flag, ",".join(parts)]
    return words


def outputs_of(options, plan, model, inputs, folder):
    import onnx
    words = [word for name in inputs for word in ("--input", f"{name}={model}.{name}.npy")]
    planfarm(options, model, "run", plan, "--device", "cuda:0", "--output-dir", folder, *words)
    names = [o.name for o in onnx.load(model, load_external_data=False).graph.output]
    return [np.load(os.path.join(folder, name.replace("/", "_") + ".npy")) for name in names]


def rules_of(options, model):
    try:
        return json.loads(planfarm(options, model, "inspect", model, "--rules", "--json"))
    except RuntimeError as reason:
        return one_line(reason)


def measure(options, case, row):
    """Fills the row, and returns what is kept of the network."""
    from zoo_apart import apart
    model = path_of(options, case)
    folder = model + ".files"
    plan = os.path.join(folder, "plan")
    os.makedirs(folder, exist_ok=True)
    with open(model + ".peer.json") as file:
        asked = json.load(file)
    with np.load(model + ".expected.npz") as file:
        expected = [file[name] for name in file.files]
    times = asked["times"]
    row.update(peer=times, remark=asked["problem"] or "")
    if times:
        row["PyTorch ms"] = min(times.values())
    if options.at_once == 1:
        os.sync()       # exported weights are not to be waited for by this build
    start = time.time()
    print(f"{case}: building", flush=True)
    built = json.loads(planfarm(options, model, "build", model, "-o", plan, "--device", "cuda:0", "--cache", os.path.join(folder, "cache"), "--fp16",
                                "--effort", str(options.effort), "--json", *profile_of(asked)))
    row.update({"cold s": time.time() - start, "timed": built["candidates_timed"], "own error": built["max_rel_error"]})
    row["max error"] = max(apart(a, b) for a, b in zip(outputs_of(options, plan, model, asked["inputs"], folder), expected))
    print(f"{case}: built in {row['cold s']:.1f} s, error {row['max error']:.1e}", flush=True)
    sizes = [f"{name}:{'x'.join(map(str, dims))}" for name, dims in asked["inputs"].items() if dims]
    with alone():
        bench = json.loads(planfarm(options, model, "bench", plan, "--device", "cuda:0", "--duration", "0.5", "--layers", "--json",
                                    *(["--shapes", ",".join(sizes)] if asked["axes"] else [])))
    row["planfarm ms"] = bench["compute_ms"]["median"]
    if times:
        row["ratio"] = row["PyTorch ms"] / row["planfarm ms"]
    row["layers"] = len(bench["layers"])
    row["on the host"] = sum(layer["tactic"] == "cuda_host" for layer in bench["layers"])
    return {"build": built, "parts": parts_of(model), "bench": bench, "layers": json.loads(planfarm(options, model, "inspect", plan, "--layers", "--json")), "rules": rules_of(options, model)}


def parts_of(model):
    """Seconds of the parts of a build, by its log."""
    with open(f"{model}.build.log", errors="replace") as file:
        found = re.findall(r"builder spent part=(\w+) seconds=([\d.]+)", file.read())
    return {part: float(seconds) for part, seconds in found}


def clear(options, case):
    model = path_of(options, case)
    if options.keep:
        return
    shutil.rmtree(model + ".files", ignore_errors=True)
    for path in glob.glob(glob.escape(model) + "*"):
        os.remove(path)


def keep_logs(options, case):
    """All that planfarm and PyTorch said of a network that failed, in one file."""
    if not options.out:
        return
    with open(os.path.join(options.out, case.replace(":", "_") + ".log"), "w") as file:
        for path in sorted(glob.glob(glob.escape(path_of(options, case)) + ".*.log"), key=os.path.getmtime):
            with open(path, errors="replace") as log:
                file.write(f"==== {os.path.basename(path)}\n{log.read()}\n")


def do_case(options, case, reason):
    row, kept = {"network": case}, None
    try:
        if reason:
            raise RuntimeError(reason)
        if time.time() > options.end:
            raise RuntimeError("out of budget")
        if not os.path.exists(path_of(options, case) + ".peer.json"):
            ask_alone(options, case)
        kept = measure(options, case, row)
    except Exception as problem:
        row["remark"] = one_line(problem)
        keep_logs(options, case)
        if not isinstance(problem, RuntimeError):
            traceback.print_exc()
    if kept and options.out:
        with open(os.path.join(options.out, case.replace(":", "_") + ".json"), "w") as file:
            json.dump(dict(kept, row=row), file)
    clear(options, case)
    return row


def take_some(ready, most, waits):
    """Cases that are there, or the first that comes."""
    taken = []
    with contextlib.suppress(queue.Empty):
        while len(taken) < most and (not taken or taken[-1][0] is not None):
            taken.append(ready.get(timeout=None if waits and not taken else 0.5))
    return taken


def next_batch(options, ready, waits):
    """Some cases and PyTorch's process for those that were exported; None where none are there."""
    some = take_some(ready, options.some, waits)
    cases = [case for case, reason in some if case is not None and not reason and not os.path.exists(path_of(options, case) + ".peer.json")]
    return (some, Asked(options, cases) if cases and time.time() < options.end else None) if some else None


class Asked:
    """PyTorch's process for some networks, which makes their modules, and uses the GPU when it is told to."""
    def __init__(self, options, cases):
        self.options, self.cases, self.log = options, cases, os.path.join(options.work, cases[0].replace(":", "_") + ".onnx.torch.log")
        self.process = started([sys.executable, "-u", os.path.abspath(__file__), "--work", options.work, "--modes", options.modes, "--torch-only", *cases], self.log)

    def answer(self, seconds):
        finished("PyTorch", self.process, self.log, min(seconds, self.options.end - time.time()), b"now\n")


def ask_alone(options, case):
    """Where PyTorch did not answer for several networks, it is asked for one."""
    Asked(options, [case]).answer(options.seconds / 2)
    if not os.path.exists(path_of(options, case) + ".peer.json"):
        raise RuntimeError("PyTorch did not answer")


def work_on(options, gpu, ready, rows):
    """Runs in a process of its own, which sees one GPU and its share of the cores: PyTorch's answers for some networks, then planfarm's."""
    os.environ["CUDA_VISIBLE_DEVICES"] = card(gpu)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[gpu * len(cores) // options.gpus:(gpu + 1) * len(cores) // options.gpus])
    batch = None
    while True:
        some, asked = batch or next_batch(options, ready, True)
        if asked:
            print(f"PyTorch answers for {' '.join(asked.cases)}", flush=True)
            try:
                asked.answer(30 + 10 * len(asked.cases))
            except RuntimeError as reason:
                print(reason, flush=True)
        batch = next_batch(options, ready, False) if some[-1][0] is not None else None
        for case, reason in some:
            if case is None:
                return
            rows.put(do_case(options, case, reason))


# ---- The table

def cell(row, column):
    value = row.get(column, "")
    if isinstance(value, float):
        return f"{value:.1e}" if column == "max error" else f"{value:.2f}" if column == "ratio" else f"{value:.1f}" if column == "cold s" else f"{value:.3f}"
    return str(value)


def write(options, cases, rows):
    order = {case: i for i, case in enumerate(cases)}
    rows = sorted(rows, key=lambda row: order[row["network"]])
    table = [f"| {' | '.join(COLUMNS)} |", "| --- " * len(COLUMNS) + "|"] + [f"| {' | '.join(cell(row, c) for c in COLUMNS)} |" for row in rows]
    with open(os.path.join(options.out, "table.md"), "w") as file:
        file.write("\n".join(table) + "\n")
    with open(os.path.join(options.out, "rows.json"), "w") as file:
        json.dump(rows, file, indent=1)


def collect(options, cases, results, workers):
    """A row of each case, be it that a process ended without one."""
    rows = []
    while len(rows) < len(cases):
        try:
            row = results.get(timeout=5)
        except queue.Empty:
            if any(w.is_alive() for w in workers):
                continue
            row = {"network": next(case for case in cases if case not in {row["network"] for row in rows}),
                   "remark": "the process that had it ended without a word"}
        rows.append(row)
        print(" | ".join(cell(row, c) for c in COLUMNS), flush=True)
        if options.out:
            write(options, cases, rows)
    return rows


def dismiss(exporters, ready, workers):
    """Tells workers, in a thread, that nothing comes any more once exporters are gone, in whatever way."""
    for process in exporters:
        process.join()
    for _ in workers:
        ready.put((None, None))


def exported(cases, exporters, ready):
    """Takes what comes until all is there or nobody is left: a process does not end before what it put was taken."""
    left = len(cases)
    while left and (any(e.is_alive() for e in exporters) or not ready.empty()):
        with contextlib.suppress(queue.Empty):
            ready.get(timeout=1)
            left -= 1


def run(options, cases):
    context = multiprocessing.get_context("spawn")
    # exporters that ask PyTorch are not to be far ahead of builds, which wait for the card meanwhile
    most = 2 * options.gpus * options.at_once if options.at_once > 1 and not options.export_only else 0
    waiting, ready, results = context.Queue(), context.Queue(most), context.Queue()
    for case in cases:
        waiting.put(case)
    exporters = [context.Process(target=export_all, args=(options, i % options.gpus, waiting, ready), daemon=True) for i in range(options.exporters)]
    options.end = time.time() + options.budget
    workers = [] if options.export_only else [context.Process(target=work_on, args=(options, i % options.gpus, ready, results), daemon=True)
                                                  for i in range(options.gpus * options.at_once)]
    for process in exporters + workers:
        process.start()
    if options.export_only:
        exported(cases, exporters, ready)
        return []
    threading.Thread(target=dismiss, args=(exporters, ready, workers), daemon=True).start()
    rows = collect(options, cases, results, workers)
    for process in exporters:
        process.terminate()     # one that nobody takes from any more would wait for ever
    return rows


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--work", required=True)
    p.add_argument("--out", help="folder for the table and what is kept of each network")
    p.add_argument("--gpus", type=int, default=1)
    p.add_argument("--at-once", type=int, default=1, help="networks at once on a GPU")
    p.add_argument("--effort", type=int, default=2)
    p.add_argument("--exporters", type=int, default=4, help="processes that export")
    p.add_argument("--modes", default="graph")
    p.add_argument("--budget", type=float, default=500, help="no network is begun after so many seconds")
    p.add_argument("--seconds", type=float, default=90, help="most for one build, and for any other process")
    p.add_argument("--keep", action="store_true", help="keep models, plans and caches in --work")
    p.add_argument("--export-only", action="store_true")
    p.add_argument("--skeletons", help="folder of exports without their weights")
    p.add_argument("--some", type=int, default=6, help="networks that PyTorch answers for in one go, before planfarm builds them")
    p.add_argument("--torch-only", action="store_true", help="what a process of its own does for some networks that are exported")
    p.add_argument("cases", nargs="*")
    options = p.parse_args()
    from gpu_zoo_fields import NETWORKS
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))       # and its processes with it
    for folder in filter(None, (options.work, options.out)):
        os.makedirs(folder, exist_ok=True)
    if options.torch_only:
        import torch
        torch.set_num_threads(2)
        loaded = {case: load(case, path_of(options, case)) for case in options.cases}
        sys.stdin.readline()
        for case in options.cases:
            try:
                ask_torch(options, case, loaded.pop(case))
            except Exception:
                traceback.print_exc()
        return
    rows = run(options, options.cases or list(NETWORKS))
    sys.exit(not options.export_only and any("planfarm ms" not in row or not row["max error"] <= LIMIT for row in rows))


if __name__ == "__main__":
    main()
