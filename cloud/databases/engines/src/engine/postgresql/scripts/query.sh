#!/bin/bash
# query.sh [DATABASE]: runs the statements on stdin; the answer is one JSON object with the last result.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
statements=$(cat)
refuse() { printf '{"error":%s}\n' "$(json_text "$1")"; exit 0; }
((${#statements} < 100000)) || refuse "the text is longer than 100,000 characters; use \`sealos db load\`"
[[ ! $statements =~ ^[[:space:]]*\\ ]] || refuse "commands of psql work in \`sealos db connect\`; here is room for SQL"
complaints=$(mktemp)
trap 'rm -f "$complaints"' EXIT
# Marks: a title before results with columns, and separators that no text has.
answer=$(PGOPTIONS='-c statement_timeout=60000' PGAPPNAME='query page' psql -X -A -v ON_ERROR_STOP=1 -v SHOW_ALL_RESULTS=off \
  -h "$RUN" -p "$DB_PORT" -U postgres -d "dbname='${1:-postgres}'" -P footer=off -P title=$'\x1c' -P null=$'\x1d' \
  -F $'\x1f' -R $'\x1e' -c "$statements" 2> "$complaints") ||
  refuse "$(sed -e 's/^ERROR:  //' -e 's/^psql: error: //' "$complaints")"
notices=$(<"$complaints")
if [[ $answer != *$'\x1c'* ]]; then
  printf '{"columns":[],"rows":[],"message":%s}\n' "$(json_text "${notices:+$notices$'\n'}${answer:-done}")"
  exit 0
fi
answer=${answer##*$'\x1c'}
printf '%s\x1e' "${answer#?}" | awk -v limit=1000 '
  BEGIN { RS = "\036"; FS = "\037"; printf "{\"columns\":[" }
  function text(s) {
    if (s == "\035") return "null"
    gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); gsub(/\n/, "\\n", s); gsub(/\r/, "\\r", s); gsub(/\t/, "\\t", s)
    gsub(/[\001-\037]/, "", s)
    return "\"" s "\""
  }
  NR > limit + 1 { next }
  NR > 2 { printf "," }
  NR > 1 { printf "[" }
  NF == 0 { printf "\"\"" }
  { for (i = 1; i <= NF; i++) printf "%s%s", (i > 1 ? "," : ""), text($i) }
  NR == 1 { printf "],\"rows\":[" }
  NR > 1 { printf "]" }
  END {
    if (NR == 0) printf "],\"rows\":["
    rows = NR > 0 ? NR - 1 : 0
    message = rows > limit ? "the first " limit " of " rows " rows" : rows (rows == 1 ? " row" : " rows")
    printf "],\"message\":\"%s\"}\n", message
  }'
