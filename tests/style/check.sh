#!/usr/bin/env bash
# Checks what a compiler does not: banned calls, long functions and lines, the direction of includes, unfinished work.
# Usage: tests/style/check.sh [FOLDER...]   (the project's folders when none is given; run from the repository root)
set -euo pipefail

folders=("$@")
if [ ${#folders[@]} -eq 0 ]; then
    folders=(base proto cache engine kernels coordinator builder-agent client examples tests cmake ops .ci CMakeLists.txt ./*.md)
fi
here=$(cd "$(dirname "$0")" && pwd)

present=()
for folder in "${folders[@]}"; do
    if [ -e "$folder" ]; then present+=("$folder"); fi
done
mapfile -t files < <(find "${present[@]}" -type f \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' -o -name '*.def' \
    -o -name '*.proto' -o -name '*.py' -o -name '*.sh' -o -name '*.md' -o -name CMakeLists.txt -o -name '*.cmake' \
    -o -path 'ops/*' -o -path '.ci/*' \) -not -name '*.onnx' -not -path '*/__pycache__/*' | sort)
if [ ${#files[@]} -eq 0 ]; then
    echo "style: there is nothing to check in: ${folders[*]}; run this from the repository root"
    exit 1
fi
exec awk -v whole=$([ $# -eq 0 ] && echo 1 || echo 0) -f "$here/check.awk" "$here/long_functions.txt" "${files[@]}"
