#!/usr/bin/env bash
# Runs what a page tells its reader to type, and looks for the output that it shows.
# Usage: run.sh PAGE PROGRAMS MAKE_MODEL
#   PAGE         blocks that begin with "```console test" are run, in order, in one temporary folder
#   PROGRAMS     folder of planfarm, planfarm-agent and planfarm-coordinator; first in PATH
#   MAKE_MODEL   program that writes a small network to a path; it stands for the page's models/resnet50.onnx
# In a block "$ " begins a command, "> " carries it on, and every other line is output that must come (match.awk says how alike).
# A block "```console test background" holds one command that goes on: the next block waits for its output, and in the end it
# is told to end, and must end well.  The page's address of the farm is replaced by that which the command printed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
page=$1 programs=$(cd "$2" && pwd) make_model=$3
work=$(mktemp -d)
running=0

at_exit() {
    local code=$?
    if [ $running -ne 0 ]; then kill -KILL $running 2> /dev/null; fi
    rm -rf "$work"
    exit $code
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "$page: block $1: $2"
    echo "-- the block:" && cat "$work/$1.sh"
    echo "-- what came:" && cat "$work/$1.out"
    exit 1
}

# Block N becomes N.sh, N.expected, and N.kind, in the temporary folder.
split_page() {
    awk -v out="$work" '
        /^```console test/ { count++; kind = NF > 2 ? $3 : "once"; inside = 1
            print kind > (out "/" count ".kind"); printf "" > (out "/" count ".expected"); printf "" > (out "/" count ".sh"); next }
        /^```/ { inside = 0 }
        !inside { next }
        /^\$ / { print substr($0, 3) > (out "/" count ".sh"); next }
        /^> / { print substr($0, 3) > (out "/" count ".sh"); next }
        { print > (out "/" count ".expected") }
        END { print count + 0 }' "$page"
}

run_once() {
    (cd "$work/folder" && bash -e -u -o pipefail "$work/$1.sh") > "$work/$1.out" 2>&1 < /dev/null
    local code=$?
    [ $code -eq 0 ] || fail "$1" "it ended with $code"
    why=$(awk -f "$here/match.awk" "$work/$1.expected" "$work/$1.out") || fail "$1" "$why"
}

run_background() {
    (cd "$work/folder" && exec bash -c "exec $(cat "$work/$1.sh")") > "$work/$1.out" 2>&1 < /dev/null &
    running=$! background=$1
    for _ in $(seq 600); do
        if awk -f "$here/match.awk" "$work/$1.expected" "$work/$1.out" > /dev/null; then
            farm=$(grep -o -m 1 'http://127\.0\.0\.1:[0-9]*' "$work/$1.out") || farm=""
            return 0
        fi
        kill -0 $running 2> /dev/null || fail "$1" "it ended early"
        sleep 0.1
    done
    fail "$1" "$(awk -f "$here/match.awk" "$work/$1.expected" "$work/$1.out")"
}

end_background() {
    [ $running -ne 0 ] || return 0
    kill -TERM $running
    wait $running
    local code=$?
    running=0
    [ $code -eq 0 ] || fail "$background" "told to end, it ended with $code"
}

export PATH="$programs:$PATH" HOME="$work/home" XDG_CACHE_HOME="$work/cache" XDG_CONFIG_HOME="$work/config" XDG_STATE_HOME="$work/state"
unset PLANFARM_FARM PF_LOG
mkdir -p "$work/folder/models" "$work/home"
"$make_model" "$work/folder/models/resnet50.onnx" || { echo "$make_model makes no network"; exit 1; }
count=$(split_page) farm=""
[ "$count" -gt 0 ] || { echo "$page has no block to run"; exit 1; }
for n in $(seq "$count"); do
    if [ -n "$farm" ]; then sed -i "s|http://127\.0\.0\.1:[0-9]*|$farm|g" "$work/$n.sh"; fi
    case "$(cat "$work/$n.kind")" in
        once) run_once "$n" ;;
        background) run_background "$n" ;;
        *) fail "$n" "there is no kind $(cat "$work/$n.kind") of block" ;;
    esac
done
end_background
echo "$page: $count blocks run"
