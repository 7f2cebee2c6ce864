#!/usr/bin/env bash
# What docs/MEASURING.md says of cards, in one run: latency beside PyTorch, choices of cold builds, ops, threads, a farm, compute-sanitizer.
# usage: PACK=FOLDER tests/gpu/all.sh OUT_FOLDER [latency] [choices] [ops] [threads] [farm] [sanitize]     without a section: all
# CASES: of the latency table, model:batch; without it all 18 rows, which take a quarter of an hour on one card.
# All cards that are visible share the rows of the latency table; the rest runs on the first one, a section after the other, since what is timed wants
# its card alone.  The last lines say which sections failed; each section's output is in OUT_FOLDER.
set -uo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
archive=$PACK       # farm.sh and sanitize.sh unpack it themselves
. "$here"/tests/gpu/environment.sh
out=$1
shift
sections=${*:-ops threads farm latency choices sanitize}
for section in $sections; do
    case $section in
        latency | choices | ops | threads | farm | sanitize) ;;
        *) echo "all.sh: there is no section $section; there are latency, choices, ops, threads, farm and sanitize" >&2; exit 64 ;;
    esac
done
cases=${CASES:-resnet50:1 resnet50:32 resnet50:128 mobilenet_v3_large:1 mobilenet_v3_large:32 efficientnet_b0:1 efficientnet_b0:32 vit_b_16:1 vit_b_16:32 \
bert_base:1 bert_base:32 gpt2:1 gpt2:32 llama_4l:1 llama_4l:8 unet:1 unet:8 deeplabv3_resnet50:1}
chosen="unet:1 mobilenet_v3_large:1 resnet50:1 bert_base:1 efficientnet_b0:1"
cards=$(nvidia-smi --query-gpu=index --format=csv,noheader | wc -l)
cores=$(($(nproc) / cards))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

# on CARD COMMAND...: with that card alone, and its part of the cores.
on() {
    local card=$1
    shift
    CUDA_VISIBLE_DEVICES=$card taskset -c "$((card * cores))-$((card * cores + cores - 1))" "$@"
}

cases_of() {
    # shellcheck disable=SC2086
    printf '%s\n' $cases | awk -v card="$1" -v cards="$cards" '(NR - 1) % cards == card'
}

# PyTorch compiles for a minute and keeps what it made: not while a plan is timed.
let_pytorch_compile() {
    local card
    for card in $(seq 0 $((cards - 1))); do
        cases_of "$card" | on "$card" xargs -P 9 -n 1 python3 "$here"/tests/bench/peer_torch.py --modes reduce --dtype fp16 >"$out/pytorch.$card.txt" 2>&1 &
    done
    wait
}

latency() {
    local card running=() failed=0
    let_pytorch_compile
    for card in $(seq 0 $((cards - 1))); do
        # shellcheck disable=SC2046
        on "$card" python3 "$here"/tests/bench/gpu_compare.py --models "$work/models" --work "$work/compare.$card" --rounds 2 --peer-rounds 1 --dtype fp16 \
            --modes graph,reduce --fresh 1 --out "$out/latency.$card.md" $(cases_of "$card") >"$out/latency.$card.txt" 2>&1 &
        running+=($!)
    done
    for card in "${running[@]}"; do wait "$card" || failed=1; done
    cat "$out"/latency.*.md
    return $failed
}

# shellcheck disable=SC2086
choices() {
    on 0 python3 "$here"/tests/gpu/regret.py --models "$work/models" --work "$work/choices" --flags=--fp16 --problems 50 --agree --cold --builds 3 $chosen
}

ops() { on 0 test_gpu_ops; }

threads() {
    # shellcheck disable=SC2046
    test_gpu_threads $(seq -f 'cuda:%g' 0 $((cards - 1)))
}

farm() { PACK=$archive on 0 "$here"/tests/gpu/farm.sh "$work/models/resnet50.onnx" --fp16; }

sanitize() { PACK=$archive on 0 "$here"/tests/gpu/sanitize.sh "$work/sanitize"; }

nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv,noheader
needed=$chosen
if [[ " $sections " == *" latency "* ]]; then needed=$cases; fi
# shellcheck disable=SC2046,SC2086
python3 "$here"/tests/models/materialize.py "$work/models" $(printf '%s\n' $needed | cut -d : -f 1 | sort -u) >/dev/null || exit 1
bad=""
for section in $sections; do
    start=$SECONDS
    "$section" >"$out/$section.txt" 2>&1 || bad="$bad $section"
    echo "== $section: $((SECONDS - start)) s"
    tail -n 40 "$out/$section.txt" | cut -c 1-400
done
echo "failed:${bad:- none}"
[ -z "$bad" ]
