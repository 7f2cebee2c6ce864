#!/usr/bin/env bash
# The coordinator runs on machines without a GPU and must load no library that computes.
# Usage: check_links.sh PROGRAM
set -euo pipefail

libraries=$(ldd "$1")
if grep -E 'libcu|libnv|libdnnl|libgomp' <<< "$libraries"; then
    echo "$1 loads the libraries above; it must link neither the engine nor CUDA"
    exit 1
fi
echo "$1 loads $(wc -l <<< "$libraries") libraries, none of which computes"
