#!/usr/bin/env bash
# compute-sanitizer over small plans that together use every kernel generator: one line for each plan and tool, and what was found.
# usage: PACK=FOLDER tests/gpu/sanitize.sh OUT_FOLDER [options of tests/gpu/sanitize.py]
set -uo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here"/tests/gpu/environment.sh
exec python3 "$here"/tests/gpu/sanitize.py --work "$@"
