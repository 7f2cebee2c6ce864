#!/usr/bin/env bash
# Builds, checks and benches networks on cuda:0, builds them again from the cache, and keeps reports, layers and logs: the first look after a change.
# usage: PACK=FOLDER tests/gpu/smoke.sh OUT_FOLDER "build flags" MODEL:BATCH ...
set -uo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here"/tests/gpu/environment.sh
out=$1 flags=$2
shift 2
work=$(mktemp -d)
nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv,noheader
timeout 150 test_gpu_threads cuda:0 || echo "contexts in threads: WRONG"
for case in "$@"; do
    model=${case%:*} batch=${case#*:}
    [ -f "$work/$model.weights" ] || python3 "$here"/tests/models/materialize.py "$work" "$model" >/dev/null
    shapes=$(python3 "$here"/tests/bench/gpu_cases.py "$case")
    echo "== $case"
    start=$SECONDS
    # shellcheck disable=SC2086
    PF_LOG=${PF_LOG:-warn} timeout 150 planfarm build "$work/$model.onnx" -o "$work/$model.plan" --device cuda:0 --cache "$work/cache" ${shapes:+--shapes $shapes} \
        $flags --json >"$out/$model.$batch.json" 2>"$out/$model.$batch.log"
    rc=$?
    echo "exit $rc in $((SECONDS - start)) s"
    tail -n 3 "$out/$model.$batch.log" | cut -c1-600
    [ $rc = 0 ] || continue
    grep -E 'problems|candidates_timed|build_seconds|timing_seconds|max_rel_error' "$out/$model.$batch.json" | tr -d '\n'
    echo
    # shellcheck disable=SC2086
    PF_LOG=${PF_LOG:-warn} planfarm build "$work/$model.onnx" -o "$work/again.plan" --device cuda:0 --cache "$work/cache" ${shapes:+--shapes $shapes} \
        $flags --json >"$out/$model.$batch.warm.json" 2>"$out/$model.$batch.warm.log" || echo "warm build failed"
    echo "warm: $(grep -E 'candidates_timed|build_seconds' "$out/$model.$batch.warm.json" | tr -d '\n') $(cmp -s "$work/$model.plan" "$work/again.plan" && echo same bytes || echo OTHER BYTES)"
    planfarm inspect "$work/$model.plan" --layers >"$out/$model.$batch.layers" 2>&1
    planfarm profile "$work/$model.plan" --device cuda:0 >"$out/$model.$batch.profile" 2>&1 || echo "no profile"
    echo "layers add up to: $(tail -n 1 "$out/$model.$batch.profile")"
    planfarm bench "$work/$model.plan" --device cuda:0 --duration 1 --json 2>&1 | tr -d '\n ' | grep -o '"compute_ms":{[^}]*}\|"device":{[^}]*}'
    for streams in 1 4; do
        echo "$streams streams: $(planfarm bench "$work/$model.plan" --device cuda:0 --transfers --streams $streams --duration 1 2>/dev/null | grep Throughput)"
    done
done
