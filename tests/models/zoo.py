#!/usr/bin/env python3
"""Exports networks of torchvision, timm and transformers, and compares planfarm with ONNX Runtime on them.

usage: zoo.py [--planfarm BINARY] [--folder FOLDER] [--table FILE] [PATTERN...]

The networks have seeded random weights, scaled so that activations keep their size, come from either exporter of
PyTorch, and are quantized, halved or written in old opsets as well. Each is built at --effort 0 and run at two shapes
where its dimensions have names. What is too far from ONNX Runtime's outputs (and from PyTorch's in FP64), is refused,
or takes long to build counts as failed; a network that PyTorch cannot export is left out with its reason. PATTERNs are
regular expressions that a name has to contain. The exit status is 1 when one failed, and 77 when a package is missing;
it needs torch, torchvision, timm, transformers, onnx, onnxscript and onnxruntime."""

import argparse
import logging
import os
import re
import sys
import time
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
try:
    import onnx
    import onnxruntime
    import timm
    import torch
    import torchvision
    import transformers
except ImportError as problem:
    print(f"skipped: {problem}; pip install torch torchvision timm transformers onnx onnxscript onnxruntime")
    sys.exit(77)

# The networks stand in zoo_images.py, zoo_sequences.py and zoo_derived.py.
from zoo_compare import NoAnswer, compare
from zoo_derived import DERIVED
from zoo_export import EXPORTERS, derive, export, make_recipe
from zoo_recipe import RECIPES

LIMITS = {"fp32": 1e-4, "f16": 1e-2, "quantized": 3e-2}
SLOW_SECONDS = 30


def jobs(options):
    for name in RECIPES:
        for exporter in options.exporter or ("script", "dynamo"):
            yield f"{name}.{exporter}", name, lambda n=name, e=exporter: export(n, e, options.folder), None
    for name, (made_from, _, _, limit) in DERIVED.items():
        yield name, made_from, lambda n=name: derive(n, options.folder), limit


def check(options, name, recipe_name, make, limit):
    exporter = name.rsplit(".", 1)[-1]
    try:
        made = make_recipe(recipe_name)
        if exporter in EXPORTERS and exporter not in made.exporters:
            return "", None, None, ""
        path = make()
    except Exception as reason:  # whatever an exporter may raise
        return "left out", None, None, " ".join(str(reason).split())[:200]
    if options.export_only:
        return "exported", None, None, ""
    limit = options.limit or LIMITS[limit or made.limit]
    try:
        seconds, error, right, remark = compare(options, path, made, limit, name in DERIVED)
    except NoAnswer as reason:
        return "left out", None, None, " ".join(str(reason).split())[:200]
    except Exception as reason:  # the row says which
        return "FAILED", None, None, " ".join(str(reason).split()).replace(path, "MODEL")[:600]
    status = "FAILED" if not right else "slow" if seconds > SLOW_SECONDS else "ok"
    return status, seconds, error, remark


def versions():
    packages = (torch, torchvision, timm, transformers, onnx, onnxruntime)
    return ", ".join(f"{p.__name__} {p.__version__}" for p in packages)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--planfarm", default="build/planfarm", help="the program to test")
    parser.add_argument("--folder", default="build/zoo", help="where exported models are kept")
    parser.add_argument("--exporter", action="append", choices=list(EXPORTERS))
    parser.add_argument("--build-option", action="append", default=[], help="for planfarm build; may be repeated")
    parser.add_argument("--limit", type=float, help="instead of the limits of each network")
    parser.add_argument("--table", help="where to write the results in Markdown")
    parser.add_argument("--export-only", action="store_true")
    parser.add_argument("--list", action="store_true", help="print the names and do nothing")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="part of a name, or a regular expression")
    options = parser.parse_args()
    torch.set_num_threads(2)
    os.makedirs(options.folder, exist_ok=True)
    rows = []
    for name, recipe_name, make, limit in jobs(options):
        if options.patterns and not any(re.search(p, name) for p in options.patterns):
            continue
        if options.list:
            print(name)
            continue
        status, seconds, error, remark = check(options, name, recipe_name, make, limit)
        if not status:
            continue
        figures = f"{seconds:6.1f} s  {error:.2g}  " if seconds is not None else ""
        print(f"{status:8} {name:48} {figures}{remark}", flush=True)
        rows.append((name, status, seconds, error, remark))
    if options.table:
        write_table(options.table, rows)
    sys.exit(1 if any(r[1] in ("FAILED", "slow") for r in rows) else 0)


def write_table(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%d')}; {versions()}.\n\n")
        file.write("| network | result | build, s | error | remark |\n| --- | --- | --- | --- | --- |\n")
        for name, status, seconds, error, remark in rows:
            figures = (f"{seconds:.1f}", f"{error:.1e}") if seconds is not None else ("", "")
            file.write(f"| {name} | {status} | {figures[0]} | {figures[1]} | {remark.replace('|', '/')} |\n")


if __name__ == "__main__":
    main()
