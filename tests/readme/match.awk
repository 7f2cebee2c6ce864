# Looks for expected lines, in their order, among what a command printed.
# Usage: awk -f match.awk EXPECTED PRINTED; prints what is missing and ends with 1 when something is.
#
# An expected line stands for a whole line in which numbers, hex digests (8 digits and more), the rest of "cpu-...", units of sizes and
# times, and runs of blanks may be others; "..." stands for anything.

function pattern(line,    out, rest) {
    out = ""
    sub(/[ \t]+$/, "", line)
    for (rest = line; rest != ""; rest = substr(rest, RLENGTH + 1)) {
        if (match(rest, /^\.\.\./))
            out = out ".*"
        else if (match(rest, /^cpu-[a-z0-9]+/))
            out = out "cpu-[a-z0-9]+"
        else if (match(rest, /^[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]+/))
            out = out "[0-9a-f]+"
        else if (match(rest, /^-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)? ([KMG]iB|B)/))
            out = out "[0-9.]+ ([KMG]iB|B)"
        else if (match(rest, /^-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)? (ns|us|ms|s)/))
            out = out "[0-9.]+ (ns|us|ms|s)"
        else if (match(rest, /^-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?/))
            out = out "-?[0-9]+(\\.[0-9]+)?(e[-+]?[0-9]+)?"
        else if (match(rest, /^[ \t]+/))
            out = out "[ \t]+"
        else if (match(rest, /^[][\\.^$*+?(){}|\/]/))
            out = out "\\" substr(rest, 1, 1)
        else {
            match(rest, /^./)
            out = out substr(rest, 1, 1)
        }
    }
    return "^" out "[ \t]*$"
}

FNR == NR { expected[++count] = $0; next }
at < count && $0 ~ pattern(expected[at + 1]) { at++ }

END {
    if (at < count) {
        print "this line is missing, or does not come in its place: " expected[at + 1]
        exit 1
    }
}
