#!/bin/bash
# query.sh [DATABASE]: runs the statements on stdin; the answer is one JSON object.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
refuse() { printf '{"error":%s}\n' "$(json_text "$1")"; exit 0; }
statements=$(cat)
[[ -n ${statements//[[:space:]]/} ]] || refuse "there is no statement"
system='(^|'$'\n'')[[:space:]]*(\\|system[[:space:]]|source[[:space:]]|tee[[:space:]]|pager)'
[[ ! $statements =~ $system ]] || refuse "commands of the client work in \`sealos db connect\`; here is room for SQL"
database=()
[[ -z ${1:-} ]] || database=(-D "$1")
complaints=$(mktemp)
trap 'rm -f "$complaints"' EXIT
answer=$(printf '%s\n' "$statements" | timeout 65 "$CLIENT" --defaults-extra-file="$(credentials)" --default-character-set=utf8mb4 --batch --column-names "${database[@]}" 2> "$complaints") ||
  refuse "$(sed -n '/^ERROR/,$p' "$complaints" | sed 's/^ERROR [0-9]* ([0-9A-Z]*) at line [0-9]*: //')"
if [[ -z $answer ]]; then
  printf '{"columns":[],"rows":[],"message":"done"}\n'
  exit
fi
printf '%s\n' "$answer" | awk -F '\t' -v limit=1000 '
  BEGIN { printf "{\"columns\":[" }
  # The client writes tabs, line ends and backslashes as \t, \n and \\ already.
  function text(s, head) {
    if (s == "NULL" && !head) return "null"
    gsub(/\\0/, "\\u0000", s); gsub(/"/, "\\\"", s); gsub(/[\001-\037]/, "", s)
    return "\"" s "\""
  }
  NR > limit + 1 { next }
  NR > 2 { printf "," }
  NR > 1 { printf "[" }
  NF == 0 { printf "\"\"" }
  { for (i = 1; i <= NF; i++) printf "%s%s", (i > 1 ? "," : ""), text($i, NR == 1) }
  NR == 1 { printf "],\"rows\":[" }
  NR > 1 { printf "]" }
  END {
    rows = NR - 1
    message = rows > limit ? "the first " limit " of " rows " rows" : rows (rows == 1 ? " row" : " rows")
    printf "],\"message\":\"%s\"}\n", message
  }'
