#!/usr/bin/env bash
# Gathers what a machine with a GPU needs to run this build, beyond libc, the driver and CUDA's libraries, in FOLDER:
# programs, the device module, tests, and the libraries that ldd names, as pack.tar.xz.
# usage: tests/gpu/pack.sh BUILD_FOLDER FOLDER
set -euo pipefail
build=$1 target=$2 out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir -p "$target"
cp -f "$build"/planfarm "$build"/planfarm-coordinator "$build"/planfarm-agent \
      "$build"/engine/libplanfarm.so.0 "$build"/engine/cuda/libplanfarm_cuda.so "$build"/engine/cuda/planfarm-compile "$out"/
find "$build"/tests/gpu -type f -name 'test_*' -perm -u+x -exec cp -f {} "$out"/ \;
strip --strip-debug "$out"/planfarm* "$out"/libplanfarm* 2>/dev/null || true
for program in "$out"/*; do ldd "$program" 2>/dev/null; done | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
    grep -v -E '/(libc|libm|libpthread|libdl|librt|ld-linux[^/]*|libresolv|libcuda|libcud[a-z_]*|libcublas[A-Za-z]*|libnv[a-z-]*|libplanfarm[a-z_]*)\.so' |
    xargs -r cp -f -L -t "$out"
tar -C "$out" -cJf "$target"/pack.tar.xz .
du -h "$target"/pack.tar.xz | cut -f1
