#!/usr/bin/env bash
# Gathers what a machine with a GPU needs to run this build, beyond libc, the driver and CUDA's libraries, in FOLDER:
# programs, the device module, tests, and the libraries that ldd names.
# usage: tests/gpu/pack.sh BUILD_FOLDER FOLDER
set -euo pipefail
build=$1 out=$2
mkdir -p "$out"
cp -f "$build"/client/planfarm "$build"/coordinator/planfarm-coordinator "$build"/builder-agent/planfarm-agent \
      "$build"/engine/libplanfarm.so.0 "$build"/engine/cuda/libplanfarm_cuda.so "$out"/
find "$build"/tests -type f -name 'test_*' -perm -u+x -path '*gpu*' -exec cp -f {} "$out"/ \;
strip --strip-debug "$out"/planfarm* "$out"/libplanfarm* 2>/dev/null || true
for program in "$out"/*; do ldd "$program" 2>/dev/null; done | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
    grep -v -E '/(libc|libm|libpthread|libdl|librt|ld-linux[^/]*|libresolv|libcuda|libcud[a-z_]*|libcublas[A-Za-z]*|libnv[a-z-]*|libplanfarm[a-z_]*)\.so' |
    xargs -r cp -f -L -t "$out"
du -sh "$out" | cut -f1
