#!/usr/bin/env bash
# run.sh must accept pages that are right, and refuse those that are not.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf '#!/bin/sh\necho a network > "$1"\n' > "$work/make"
printf '#!/bin/sh\necho "ready at http://127.0.0.1:4711, 3 seen"\ntrap "exit 0" TERM\nwhile :; do sleep 0.1; done\n' > "$work/serve"
chmod +x "$work/make" "$work/serve"

# expect RESULT NAME: the page on standard input passes (0) or not (1).
expect() {
    local result=0
    cat > "$work/page.md"
    "$here/run.sh" "$work/page.md" "$work" "$work/make" > "$work/out" 2>&1 || result=1
    if [ $result -ne "$1" ]; then
        echo "run.sh took the page \"$2\" for $([ $result -eq 0 ] && echo right || echo wrong):"
        cat "$work/out"
        exit 1
    fi
}

expect 0 "numbers, digests, units, gaps and other text" << 'END'
```console test
$ echo "cpu-avx2: 12 of 3.5 MiB, key 0123456789ab, in 7.25 us" && echo other && echo \
> "the end of it"
cpu-amx: 9 of 1.0 KiB, key ffff000011112222, in 1 ms
the ... it
```
END
expect 0 "a farm that stays, at an address of its own" << 'END'
```console test background
$ serve
ready at http://127.0.0.1:7780, 1 seen
```
```console test
$ echo http://127.0.0.1:7780 | grep 4711
$ cat models/resnet50.onnx
a network
```
END
expect 1 "no block" << 'END'
```console
$ true
```
END
expect 1 "a command that fails" << 'END'
```console test
$ false
$ true
```
END
expect 1 "output that does not come" << 'END'
```console test
$ echo one
two
```
END
expect 1 "output in another order" << 'END'
```console test
$ echo one && echo two
two
one
```
END
expect 1 "only part of a line" << 'END'
```console test
$ echo one two
one
```
END
expect 1 "a number where there is none" << 'END'
```console test
$ echo one apple
one 5
```
END
expect 1 "a farm that ends by itself" << 'END'
```console test background
$ true
ready
```
END
echo "run.sh tells right pages from wrong ones"
