#!/usr/bin/env bash
# Installs into a folder, moves that folder elsewhere, and uses it as its users do.
# Usage: check.sh SOURCES BUILD MODELS     MODELS: the program that writes a small network of images
set -euo pipefail
sources=$1 build=$2 models=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "install: $*"
    exit 1
}

# Runs a command in as good as no environment: nothing leads to the build folder.
bare() { env -i PATH=/usr/bin:/bin HOME="$work" TMPDIR="$work" "$@"; }

relative_files() { (cd "$1" && find . \( -type f -o -type l \) | sort); }

# ---- The tree

cmake --install "$build" --prefix "$work/first" > "$work/install.log" || { cat "$work/install.log"; fail "cmake --install failed"; }
prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:[A-Z]*=//p' "$build/CMakeCache.txt")
DESTDIR=$work/staged cmake --install "$build" > "$work/install.log" || { cat "$work/install.log"; fail "with DESTDIR cmake --install failed"; }
diff <(relative_files "$work/first") <(relative_files "$work/staged$prefix") || fail "DESTDIR and --prefix install different files"

mv "$work/first" "$work/moved"
tree=$work/moved
lib=$(dirname "$(find "$tree" -name libplanfarm.so)")
for file in bin/planfarm bin/planfarm-agent bin/planfarm-coordinator include/planfarm/planfarm.h share/bash-completion/completions/planfarm \
            share/zsh/site-functions/_planfarm share/fish/vendor_completions.d/planfarm.fish; do
    [ -f "$tree/$file" ] || fail "$file is not installed"
done
if [ -e "$build/engine/cuda/libplanfarm_cuda.so" ]; then
    [ -f "$lib/planfarm/libplanfarm_cuda.so" ] || fail "the module for NVIDIA GPUs is not installed"
    [ -x "$lib/planfarm/planfarm-compile" ] || fail "planfarm-compile is not beside the module"
fi
readelf -d "$lib/libplanfarm.so" | grep -q 'soname: \[libplanfarm\.so\.[0-9]*\]' || fail "libplanfarm.so has no SONAME with a version"
while read -r file; do
    if readelf -d "$file" | grep -E 'RPATH|RUNPATH' | grep -qvE '\[\$ORIGIN[^:]*\]'; then fail "$file has a path that is not relative to itself"; fi
done < <(find "$tree/bin" "$lib" -type f \( -perm -100 -o -name '*.so*' \))
bare "$tree/bin/planfarm" version | grep -q '^planfarm ' || fail "planfarm does not start"
bare "$tree/bin/planfarm-agent" --help > /dev/null || fail "planfarm-agent does not start"
bare "$tree/bin/planfarm-coordinator" --help > /dev/null || fail "planfarm-coordinator does not start"
bash -c 'source "$1" && complete -p planfarm' - "$tree/share/bash-completion/completions/planfarm" > /dev/null || fail "the completion does not load"

# ---- What is visible: the public headers' functions under PLANFARM_0, and names that begin with pf_

nm -D --with-symbol-versions --defined-only "$lib/libplanfarm.so" | awk '$2 != "A" { print $3 }' > "$work/visible"
if grep -v '^pf_' "$work/visible"; then fail "libplanfarm.so shows these names"; fi
echo '#include <planfarm.h>' | cc -E -P -I"$tree/include/planfarm" -x c - > "$work/api.i" || fail "planfarm.h lacks a header that it includes"
grep -o '\bpf_[a-z0-9_]*(' "$work/api.i" | tr -d '(' | sort -u > "$work/declared"
sed -n 's/@@PLANFARM_0$//p' "$work/visible" | sort > "$work/public"
[ -s "$work/public" ] || fail "nothing is public"
diff "$work/declared" "$work/public" || fail "the public headers declare (<) what engine/planfarm.map does not list, or the other way round (>): change the list"

# ---- The headers in both languages, each by itself

for header in $(cd "$tree/include/planfarm" && find . -name '*.h'); do
    echo "#include \"$header\"" | cc -std=c11 -Wall -Wextra -Werror -fsyntax-only -I"$tree/include/planfarm" -x c - || fail "$header is not C11"
done
echo '#include <planfarm.h>' | c++ -std=c++17 -Wall -Werror -fsyntax-only -I"$tree/include/planfarm" -x c++ - || fail "planfarm.h is not C++"

# ---- The example at the head of planfarm.h, whose lines are indented by five spaces

{
    echo '#include <planfarm.h>'
    echo 'void head(void) {'
    sed -n '1,/\*\//s/^     \(.*;\)$/\1/p' "$tree/include/planfarm/planfarm.h"
    echo '}'
} > "$work/head.c"
grep -q 'pf_build(' "$work/head.c" || fail "planfarm.h begins with no example"
cc -std=c11 -Wall -Werror -fsyntax-only -I"$tree/include/planfarm" "$work/head.c" || fail "the example at the head of planfarm.h does not compile"

# ---- The examples, by pkg-config and by CMake

model=$work/model.onnx
"$models" "$model" || fail "$models wrote no network"
module=$lib/planfarm/libplanfarm_cuda.so
if [ -f "$module" ] && ! bare ldd "$module" | grep -q 'not found'; then         # with its libraries here it is found; a card is not needed for that
    bare "$tree/bin/planfarm" inspect "$model" > /dev/null || fail "planfarm does not read its model"
    bare "$tree/bin/planfarm" build "$model" --device cuda:0 --effort 0 -o "$work/cuda.plan" > "$work/out" 2>&1 || true
    if grep -q 'cannot be loaded' "$work/out"; then fail "the module for NVIDIA GPUs is not found: $(cat "$work/out")"; fi
fi
export PKG_CONFIG_PATH=$lib/pkgconfig
for name in build_and_run layer_by_layer; do
    # shellcheck disable=SC2046
    cc -std=c11 -Wall -Wextra -Werror -pthread -o "$work/$name" "$sources/examples/$name.c" $(pkg-config --cflags --libs planfarm) ||
        fail "pkg-config's flags do not build $name"
done
cmake -S "$sources/examples" -B "$work/examples" -DCMAKE_PREFIX_PATH="$tree" > "$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; fail "find_package failed"; }
cmake --build "$work/examples" > "$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; fail "the examples do not build with CMake"; }

bare LD_LIBRARY_PATH="$lib" "$work/build_and_run" "$model" "$work/a.plan" input:2x3x224x224 > "$work/out" 2> /dev/null || fail "build_and_run failed"
grep -q '^built in .* candidates timed' "$work/out" || fail "build_and_run does not say what it built"
grep -q '^output output: 20 elements' "$work/out" || fail "build_and_run gave other outputs: $(cat "$work/out")"
bare "$tree/bin/planfarm" run "$work/a.plan" --compare-reference --model "$model" > /dev/null || fail "the example's plan differs from the reference"
bare "$work/examples/layer_by_layer" > "$work/out" || fail "layer_by_layer failed"
for batch in 1 2 3; do grep -qx "batch $batch: the classes sum to $batch.000" "$work/out" || fail "layer_by_layer gave $(cat "$work/out")"; done
echo "install: $(wc -l < "$work/public") public functions, $(relative_files "$tree" | wc -l) files, all of it works where it was moved to"
