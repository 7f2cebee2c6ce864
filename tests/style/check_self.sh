#!/usr/bin/env bash
# Shows that check.sh finds each thing it is there for, and nothing in a clean file.
set -euo pipefail

check=$(cd "$(dirname "$0")" && pwd)/check.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cd "$tree"
mkdir -p cache engine coordinator client examples
failures=0

# expect FILE PATTERN [LINE...]: a file of these lines draws a complaint that matches PATTERN ("" for none).
expect() {
    local file=$1 pattern=$2 said
    shift 2
    printf '%s\n' "$@" > "$file"
    said=$("$check" "$file" 2>&1 || true)
    rm "$file"
    if [ -z "$pattern" ] && [[ $said != *"nothing to complain"* ]] || [ -n "$pattern" ] && [[ $said != *"$file:"*$pattern* ]]; then
        echo "wanted: '${pattern:-nothing}' for: $*"
        echo "came:   $said"
        failures=$((failures + 1))
    fi
}

for call in 'printf("x")' 'exit(1)' 'abort()' 'assert(1)' 'x = atoi(s)' 'fprintf(stderr, "x")'; do
    expect engine/a.c "does not print" "    $call;"
    expect engine/main.c "" "    $call;"
    expect client/verb_a.c "" "    $call;"
done
for call in 'p = malloc(3)' 'p = calloc (3, 1)' 'free(p)' 'p = realloc(p, 2)' 'p = strdup(s)'; do
    expect engine/a.c "base/alloc.h" "    $call;"
    expect client/main.c "base/alloc.h" "    $call;"
done
for call in 'strcpy(a, b)' 'strcat(a, b)' 'sprintf(a, "x")'; do
    expect client/a.c "does not know the size" "    $call;"
done
for fine in 'pf_free(p);' 'arena->free(p);' 'table.exit(1);' '/* exit() ends */' 's = "malloc(1)";' '// abort()' \
    "c = '\"'; pf_strdup(s);" 'snprintf(a, 3, "x");' 'fprintf(file, "x");' 'static_assert(1, "x");'; do
    expect engine/a.c "" "    $fine"
done
expect engine/a.c "" '/* The first line,' '   and free(p) in the second. */'
expect engine/a.c "base/alloc.h" '/* one */ free(p); /* two */'
expect engine/a.c "must not depend on coordinator" '#include "coordinator/job.h"'
expect coordinator/a.c "must not depend on engine" '#include "engine/graph.h"'
expect cache/a.c "must not depend on proto" '#include "proto/wire.h"'
expect examples/a.c "must not depend on engine" '#include "engine/graph.h"' '#include <planfarm.h>'
expect coordinator/a.c "" '#include "base/map.h"' '#include "job.h"' '#include <engine/x.h>'
expect engine/a.c "unfinished" "/* TO""DO: later */"
expect engine/a.c "unfinished" "FIX""ME"
expect engine/a.c "" 'mkdtemp("/tmp/a-XX""XXXX");'
expect engine/a.c "switched off" '#if 0'
long=$(printf 'x%.0s' {1..112})
expect client/a.c "" "    x($long);"
expect client/a.c "has 121 columns" "     x($long);"
mapfile -t body < <(yes '    x++;' | head -58)
expect engine/a.c "" 'static void just_fits(int x)' '{' "${body[@]}" '}'
expect engine/a.c "too_long() has 61 lines" 'static void too_long(int x)' '{' "${body[@]}" '    x--;' '}'
expect engine/a.c "wrapped() has 61 lines" 'int wrapped(int x,' '            int y)' '{' "${body[@]}" '    x--;' '}'
expect engine/a.c "kernel() has 61 lines" 'int kernel(int x) {' "${body[@]}" '    x--;' '}'
if [ $failures -gt 0 ]; then
    echo "$failures failures"
    exit 1
fi
echo "each rule finds what it is there for"
