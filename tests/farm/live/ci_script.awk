# The shell script inside a template of ops/ci: of YAML, the first block "run: |" or "- |"; of Groovy, what stands between
# sh ''' and '''.  Without the indentation of its first line.
function strip(line) { return substr(line, indent + 1) }
/sh '''/ && !inside { inside = 1; quoted = 1; indent = -1; next }
/^ *(- )?(run: )?\|$/ && !inside && !done { inside = 1; quoted = 0; match($0, /[^ ]/); outer = RSTART - 1; indent = -1; next }
inside && quoted && /'''/ { inside = 0; done = 1; next }
inside {
    match($0, /[^ ]/)
    if (!quoted && RSTART && RSTART - 1 <= outer) { inside = 0; done = 1; next }
    if (indent < 0) indent = RSTART - 1
    print strip($0)
}
