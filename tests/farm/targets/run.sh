#!/usr/bin/env bash
# Runs what stands behind one of the targets T1 to T22.
# Usage: run.sh NAME PROGRAM[:PATTERN]...     PATTERN: the tests of that program that belong to NAME; all when there is none.
# A program that runs no test at all has failed, but for one whose tests cannot run on this machine (exit status 77).
set -uo pipefail

name=$1
shift
out=$(mktemp)
trap 'rm -f "$out"' EXIT
for what in "$@"; do
    program=${what%%:*} pattern=
    if [ "$program" != "$what" ]; then pattern=${what#*:}; fi
    PF_TEST=$pattern "$program" > "$out" 2>&1
    code=$?
    if [ $code -eq 77 ]; then
        echo "$name: skipped: $(basename "$program") $pattern"
        continue
    fi
    if [ $code -ne 0 ] || ! grep -qE '^\[ +(OK|SKIPPED) +\]' "$out"; then
        cat "$out"
        echo "$name: FAILED: $(basename "$program") $pattern (exit status $code)"
        exit 1
    fi
    grep -vE '^\[(=+| RUN +|  PASSED  )\]' "$out" | sed "s/^/$name: /"
done
