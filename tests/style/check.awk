# First file: the functions that may be long.  All others: the sources.  See check.sh.

BEGIN {
    LIMIT = 60
    COLUMNS = 120
    ends = " *\\("
    starts = "(^|[^A-Za-z0-9_.>])"
    heap = starts "(malloc|calloc|realloc|free|strdup|strndup|aligned_alloc|posix_memalign)" ends
    calls = starts "(printf|vprintf|puts|putchar|perror|exit|_exit|abort|assert|atoi|atol|atof)" ends
    to_terminal = starts "f(printf|puts|putc) *\\([^;]*(stdout|stderr)"
    unbounded = starts "(strcpy|strcat|sprintf|vsprintf|gets)" ends
    unfinished = "(^|[^A-Za-z0-9_])(TO" "DO|FIX" "ME|X" "XX)($|[^A-Za-z0-9_])"

    # Which folders the sources of a folder may not include from.
    closed["base"] = "proto cache engine kernels coordinator builder-agent client"
    closed["proto"] = "cache engine kernels coordinator builder-agent client"
    closed["cache"] = "proto engine kernels coordinator builder-agent client"
    closed["engine"] = "proto coordinator builder-agent client"
    closed["kernels"] = "proto cache coordinator builder-agent client"
    closed["coordinator"] = "engine kernels builder-agent client"
    closed["builder-agent"] = "coordinator client"
    closed["client"] = "coordinator builder-agent"
    closed["examples"] = "base proto cache engine kernels coordinator builder-agent client"
    for (folder in closed) {
        count = split(closed[folder], names, " ")
        for (i = 1; i <= count; i++)
            forbidden[folder, names[i]] = 1
    }
}

function complain(text) {
    printf "%s:%d: %s\n", FILENAME, FNR, text
    complaints++
}

# The line without comments and without what stands between quotes; in_comment goes from line to line.
function code_of(line,    out, end) {
    out = ""
    while (line != "") {
        if (in_comment) {
            end = index(line, "*/")
            if (!end)
                return out
            line = substr(line, end + 2)
            in_comment = 0
        }
        if (!match(line, /"([^"\\]|\\.)*"|'([^'\\]|\\.)+'|\/\*|\/\//))
            return out line
        out = out substr(line, 1, RSTART - 1)
        end = substr(line, RSTART, RLENGTH)
        line = substr(line, RSTART + RLENGTH)
        if (end == "//")
            return out
        if (end == "/*")
            in_comment = 1
        else
            out = out "\"\""
    }
    return out
}

function check_calls(code) {
    if (code ~ heap && file_name != "base/alloc.c" && folder != "tests")
        complain("heap memory comes from base/alloc.h")
    if (code ~ unbounded && folder != "tests")
        complain("this call does not know the size of its target; use snprintf or pf_buf")
    if (may_print)
        return
    if (code ~ calls || code ~ to_terminal)
        complain("a library does not print, exit or assert, and atoi hides errors; return a pf_status")
}

function check_include(line,    from) {
    if (line !~ /^#[ \t]*include[ \t]*"[^"]*\//)
        return
    from = line
    sub(/^#[ \t]*include[ \t]*"/, "", from)
    sub(/\/.*/, "", from)
    if ((folder, from) in forbidden)
        complain(folder "/ must not depend on " from "/")
}

# A function opens with a brace in column 0, or at the end of a line that starts there, and closes in column 0.
function measure(code,    length_lines) {
    if (code ~ /^[A-Za-z_].*\(/ && !opened_at) {
        head = code
        sub(/[ \t]*\(.*/, "", head)
        sub(/.*[^A-Za-z0-9_]/, "", head)
    }
    if (code ~ /^\{/ || code ~ /^[A-Za-z_].*\).*\{[ \t]*$/)
        opened_at = FNR
    if (code !~ /^\}/ || !opened_at)
        return
    length_lines = FNR - opened_at + 1
    opened_at = 0
    if (length_lines <= LIMIT)
        return
    if ((file_name, head) in allowed)
        seen[file_name, head] = 1
    else
        complain(head "() has " length_lines " lines; the limit is " LIMIT)
}

FILENAME ~ /long_functions\.txt$/ {
    if ($0 !~ /^#/ && NF) {
        allowed[$1, $2] = 1
        if (NF < 3)
            complain("an exception needs its reason: PATH FUNCTION REASON")
    }
    next
}

FNR == 1 {
    file_name = FILENAME
    folder = file_name
    sub(/\/.*/, "", folder)
    base_name = file_name
    sub(/.*\//, "", base_name)
    is_c = base_name ~ /\.(c|h|cu|cuh|def)$/
    may_print = folder == "base" || folder == "client" || folder == "examples" || folder == "tests" || base_name == "main.c"
    in_comment = 0
    opened_at = 0
    head = ""
}

is_c && length($0) > COLUMNS { complain("the line has " length($0) " columns; the limit is " COLUMNS) }

$0 ~ unfinished { complain("unfinished work is named in the text") }

is_c {
    if (!in_comment)
        check_include($0)
    code = code_of($0)
    if (code ~ /^#[ \t]*if[ \t]+0/)
        complain("code that is switched off; remove it")
    check_calls(code)
    measure(code)
}

END {
    for (key in allowed) {
        split(key, part, SUBSEP)
        if (whole && !(key in seen)) {
            printf "tests/style/long_functions.txt: %s %s is not long or not there; remove the line\n", part[1], part[2]
            complaints++
        }
    }
    if (complaints) {
        print "style: " complaints " complaints"
        exit 1
    }
    print "style: nothing to complain about"
}
