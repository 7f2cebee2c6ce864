#!/usr/bin/env bash
# Builds networks through a farm of this machine's own (coordinator, agent, HTTP, signatures) and compares their plans with ONNX Runtime.
# usage: farm_networks.sh PLANFARM PYTHON MODEL.onnx ...
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
planfarm=$1 python=$2
shift 2
work=$(mktemp -d)
"$planfarm" up --dir "$work/farm" --json > "$work/up.json" 2> "$work/up.log" &
farm=$!
trap 'kill -TERM $farm 2> /dev/null; wait $farm 2> /dev/null; rm -rf "$work"' EXIT
for _ in $(seq 300); do
    if [ -s "$work/up.json" ] || ! kill -0 $farm 2> /dev/null; then break; fi
    sleep 0.1
done
url=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["url"])' "$work/up.json") || { cat "$work/up.log" >&2; exit 1; }
export XDG_CONFIG_HOME=$work/config XDG_CACHE_HOME=$work/cache       # the farm's key is pinned there
"$python" "$here/oracle.py" --planfarm "$planfarm" --plan --build-option=--farm --build-option="$url" --build-option=--gpu --build-option=cpu "$@"
