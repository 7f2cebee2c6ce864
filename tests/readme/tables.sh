#!/usr/bin/env bash
# Compares the tables and quotations of README.md and docs/ with the programs and the sources.  Run from the repository root.
# Usage: tables.sh PROGRAMS     PROGRAMS: folder of planfarm and planfarm-coordinator
# A table is named by a line "<!-- table: NAME -->" before it.  A block "```c PATH" quotes lines of the file PATH.
set -euo pipefail
programs=$1
work=$(mktemp -d)
coordinator=0 complaints=0 checks=0

at_exit() {
    if [ $coordinator -ne 0 ]; then
        kill $coordinator 2> /dev/null || true
        wait $coordinator || true
    fi
    rm -rf "$work"
}
trap at_exit EXIT

complain() {
    echo "$*"
    complaints=$((complaints + 1))
}

# rows PAGE NAME COLUMN...: those cells of the named table, without backticks, "|" between them.
rows() {
    local page=$1 name=$2
    shift 2
    awk -v wanted="<!-- table: $name -->" -v columns="$*" '
        $0 == wanted { inside = 1; line = 0; next }
        !inside { next }
        !/^\|/ { inside = 0; next }
        ++line <= 2 { next }
        {
            count = split($0, cell, / *\| */)
            wanted_count = split(columns, column, " ")
            out = ""
            for (i = 1; i <= wanted_count; i++)
                out = out (i > 1 ? "|" : "") cell[column[i] + 1]
            gsub(/`/, "", out)
            print out
        }' "$page"
}

# same WHAT FILE FILE: both hold lines, the first as documented and the second as it is; the order does not matter.
same() {
    checks=$((checks + 1))
    sort "$2" > "$work/documented"
    sort "$3" > "$work/real"
    if [ ! -s "$work/real" ]; then complain "$1: nothing to compare with was found"; return; fi
    if ! diff "$work/documented" "$work/real" > "$work/difference"; then
        complain "$1: documented (<) and real (>) differ:"
        cat "$work/difference"
    fi
}

# ---- README.md

"$programs/planfarm" help | sed -n 's/^  \([a-z]*\)  *\(.*\)/\1|\2/p' > "$work/verbs"
same "verbs" <(rows README.md verbs 1 2) "$work/verbs"
for verb in cache keys; do
    "$programs/planfarm" help $verb | sed -n '/^VERBS/,$s/^  \([a-z]*\)  *\(.*\)/\1|\2/p' > "$work/verbs"
    same "verbs of planfarm $verb" <(rows README.md "$verb verbs" 1 2) "$work/verbs"
done

sed -n 's/^PF_STATUS(\([A-Z_]*\), *\([01]\), *\([0-9]*\), "\(.*\)")$/\3|\1|\4|\2/p' base/status.def | sed 's/|1$/|yes/; s/|0$/|/' > "$work/codes"
same "exit codes and base/status.def" <(rows README.md "exit codes" 1 2 3 4) "$work/codes"
"$programs/planfarm" help exit-codes | sed -n 's/^ *\([0-9][0-9]*\)  \([A-Z_]*\)  *\(.*\)/\1|\2|\3/p' | sed 's/ (the same call may succeed later)$/|yes/; t; s/$/|/' > "$work/codes"
same "exit codes and planfarm help exit-codes" <(rows README.md "exit codes" 1 2 3 4) "$work/codes"

sed -n ':row; /^PF_CONFIG(.*,$/ { N; s/\n *//; b row }; s/^PF_CONFIG(\([a-z0-9_]*\),.*"\(.*\)")$/\1|\2/p' engine/config.def | while IFS='|' read -r key text; do echo "--${key//_/-}|$text"; done > "$work/config"
same "build options and engine/config.def" <(rows README.md config 1 2) "$work/config"
for verb in build submit; do
    "$programs/planfarm" help "$verb" > "$work/help"
    while IFS='|' read -r flag _; do
        grep -q -e "^      $flag\b" "$work/help" || complain "planfarm $verb takes no $flag"
    done < "$work/config"
done

# Read by name, or by a macro that holds the name; PLANFARM_AGENT_PID is how the agent's own processes know theirs.
grep -rhoE --include='*.[ch]' '(getenv\(|#define [A-Z_]+ +)"[A-Z_]+"' base proto cache engine coordinator builder-agent client |
    sed 's/.*"\(.*\)".*/\1/' | grep -E '^(PF_|PLANFARM_|XDG_)|^(HOME|USER|TMPDIR)$' | grep -vx PLANFARM_AGENT_PID | sort -u > "$work/variables"
same "environment variables" <(rows README.md environment 1 | sed 's/, /\n/g') "$work/variables"

# ---- docs/RULES.md

sed -n 's/^PF_RULE(\(.*\))$/\1/p' engine/rules.def | while read -r rule; do
    text=$(tr '\n' ' ' < "engine/rules/$rule.c")
    phase=$(sed 's/.*\.phase = PF_RULES_\([A-Z]*\).*/\L\1/' <<< "$text")
    summary=$(sed 's/.*\.summary = "\([^"]*\)".*/\1/' <<< "$text")
    state=$(sed 's/.*\.default_on = \([a-z]*\).*/\1/; s/true//; s/false/off/' <<< "$text")
    echo "$rule|$phase|$summary|$state"
done > "$work/rules"
same "rules and engine/rules.def" <(rows docs/RULES.md rules 1 2 3 4) "$work/rules"

# ---- docs/FARM.md

"$programs/planfarm-coordinator" --help | grep -oE '^  --[a-z-]+' | tr -d ' ' | grep -v -x -e --version > "$work/flags"
same "options of planfarm-coordinator" <(rows docs/FARM.md coordinator 1 | sed 's/ .*//') "$work/flags"
sed -n ':row; /,$/ { N; s/,\n */, /; b row; }; s/^PF_AGENT_OPTION("\([a-z-]*\)", *[a-z_]*, *"\([^"]*\)", *"\(.*\)")$/--\1 \2|\3/p' builder-agent/options.def > "$work/flags"
same "options of planfarm-agent" <(rows docs/FARM.md agent 1 2 | sed 's/ or cuda/|cuda/') "$work/flags"

sed -n 's/^static const char BLOBS\[\] = "\(.*\)";$/\1/p; /^static const struct page/,/^};/p' coordinator/http.c | grep -oE '(^/|"/)[a-z0-9/]+' | tr -d '"' > "$work/paths"
sed -nE 's/^PF_API\([A-Z]+, *"([^"]*)".*/\1/p' coordinator/api.def >> "$work/paths"
sed -i -E 's/\{[a-z]+\}/{}/' "$work/paths"
sort -u -o "$work/paths" "$work/paths"
same "paths of HTTP" <(rows docs/FARM.md http 1 | sed -E 's/^[A-Z, ]*//; s/(JOB|SUBMIT)/{}/; s/[A-Z]+$//' | sort -u) "$work/paths"
same "paths of docs/openapi.yaml" <(sed -n '/^components:/q; s/^  \(\/.*\):$/\1/p' docs/openapi.yaml | sed -E 's/\{(key|digest)\}$//; s/\{[a-z]+\}/{}/') "$work/paths"

"$programs/planfarm-coordinator" --state "$work/state" --client-port 0 --agent-port 0 --http-port 0 > "$work/coordinator.log" 2>&1 &
coordinator=$!
for _ in $(seq 100); do
    if [ -s "$work/state/endpoints" ]; then break; fi
    sleep 0.1
done
port=$(grep -o '"http": "http://127.0.0.1:[0-9]*' "$work/state/endpoints" | grep -o '[0-9]*$')
exec 3<> "/dev/tcp/127.0.0.1/$port"
printf 'GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
cat <&3 > "$work/metrics"
exec 3>&-
sed -n 's/^# HELP planfarm_\([a-z_]*\) .*/\1/p' "$work/metrics" > "$work/names"
same "metrics" <(rows docs/FARM.md metrics 1 | sed 's/, /\n/g') "$work/names"

# ---- docs/GPU.md

sed -n '/^static void describe_class/,/^}/p' engine/cuda/cuda_device.c | sed 's/\\n/ /g' | grep -oE '[a-z0-9_]+=[%c]' | sed 's/=.*//' > "$work/fields"
same "fields of a GPU's device class" <(rows docs/GPU.md "class fields" 1 | sed 's/, /\n/g') "$work/fields"
sed -n 's/^PF_TACTIC(\([a-z0-9_]*\)).*/\1/p' engine/cuda/tactics.def > "$work/tactics"
same "tactics of GPUs" <(rows docs/GPU.md tactics 1) "$work/tactics"

# ---- quotations, paths

pages=(README.md STYLE.md docs/*.md)

# check_quotation PAGE PATH LINE: blanks at the ends do not count.
awk '/^ *```c [^ ]/ { path = $2; next } /^ *```/ { path = ""; next } path != "" && NF { print FILENAME "\t" path "\t" $0 }' "${pages[@]}" > "$work/quotations"
while IFS=$'\t' read -r page path line; do
    checks=$((checks + 1))
    line=$(sed 's/^[ \t]*//; s/[ \t]*$//' <<< "$line")
    grep -qF -e "$line" "$path" || complain "$page quotes \"$line\", which is not in $path"
done < "$work/quotations"

# What stands in backticks and begins like a path of the repository must be there; "<name>" and "*" stand for anything.
top=$(find . -maxdepth 1 -type d -name '[a-z]*' -not -name build -printf '%f|')
grep -oE -e "\`(${top%|})/[^\`  ]*\`" "${pages[@]}" | tr -d '`' | sort -u > "$work/paths"
grep -oE -e '\]\([^)#: ]+' "${pages[@]}" | sed 's/\](//' > "$work/links"
while IFS=: read -r page path; do
    checks=$((checks + 1))
    pattern=$(sed -E 's/<[a-z_]+>/*/g' <<< "$path")
    compgen -G "$pattern" > "$work/found" || complain "$page names $path, which is not there"
done < "$work/paths"
while IFS=: read -r page path; do
    checks=$((checks + 1))
    [ -e "$(dirname "$page")/$path" ] || complain "$page links to $path, which is not there"
done < "$work/links"

if [ $complaints -gt 0 ]; then
    echo "$complaints complaints"
    exit 1
fi
echo "$checks tables, quotations and paths are as they are documented"
