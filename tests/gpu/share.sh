#!/usr/bin/env bash
# Builds and benches a network under several shares of cuda:0: SMs in use, latency, and the refusal of a plan of another share.
# usage: PACK=FOLDER tests/gpu/share.sh MODEL.onnx "build flags" [PERCENT ...]
set -uo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here"/tests/gpu/environment.sh
model=$1 flags=$2
shift 2
work=$(mktemp -d)
[ $# -gt 0 ] || set -- 100 50 25
for percent in "$@"; do
    # shellcheck disable=SC2086
    planfarm build "$model" -o "$work/$percent.plan" --device cuda:0 --share "$percent" --cache "$work/cache" $flags --json >"$work/json" || exit 1
    echo "share $percent: $(grep -E 'candidates_timed|build_seconds' "$work/json" | tr -d '\n')"
    planfarm inspect "$work/$percent.plan" | head -n 3 | tail -n 1
    planfarm bench "$work/$percent.plan" --duration 1 --json | tr -d '\n ' | grep -o '"compute_ms":{[^}]*}'
done
planfarm bench "$work/$1.plan" --device cuda:0 --duration 1 >/dev/null && echo "its own share: runs"
sleep 2
ls -d "${TMPDIR:-/tmp}"/planfarm-mps-* 2>/dev/null && echo "a service was left behind"
pgrep -l nvidia-cuda-mps && echo "a service still runs"
exit 0
