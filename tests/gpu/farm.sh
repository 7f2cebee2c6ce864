#!/usr/bin/env bash
# A farm with an agent on cuda:0: submit, fetch, bench; again, with nothing timed.
# usage: PACK=FOLDER tests/gpu/farm.sh MODEL.onnx "submit flags"
set -uo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here"/tests/gpu/environment.sh
model=$1 flags=$2
work=$(mktemp -d)
export XDG_CONFIG_HOME=$work/config XDG_CACHE_HOME=$work/cache      # the farm's key is pinned there
planfarm up --dir "$work/farm" --device cuda:0 --json >"$work/up.json" 2>"$work/up.log" &
farm=$!
trap 'kill -TERM $farm 2>/dev/null; wait $farm 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 600); do
    if [ -s "$work/up.json" ] || ! kill -0 $farm 2>/dev/null; then break; fi
    sleep 0.1
done
PLANFARM_FARM=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["url"])' "$work/up.json") || { cat "$work/up.log"; exit 1; }
export PLANFARM_FARM
planfarm agents || exit 1
class=$(planfarm agents --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["classes"][0]["name"])') || exit 1
# shellcheck disable=SC2086
planfarm submit "$model" --gpu "$class" $flags --wait --json | tr -d '\n ' | cut -c1-600 || exit 1
echo
planfarm fetch --model "$(basename "$model" .onnx)" --gpu auto --device cuda:0 -o "$work/plan" --json | grep -E 'candidates_timed|build_seconds|max_rel_error' || exit 1
planfarm bench "$work/plan" --duration 1 --json | tr -d '\n ' | grep -o '"compute_ms":{[^}]*}'
# shellcheck disable=SC2086
planfarm submit "$model" --gpu "$class" $flags --wait --json | tr -d '\n ' | grep -o '"hit":[a-z]*'
