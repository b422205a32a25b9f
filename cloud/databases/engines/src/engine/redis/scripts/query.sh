#!/bin/bash
# query.sh [DATABASE]: runs the commands on stdin, one a line; each line of the answers is a row.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
refuse() { printf '{"error":%s}\n' "$(json_text "$1")"; exit 0; }
commands=$(cat)
[[ -n ${commands//[[:space:]]/} ]] || refuse "there is no command"
[[ ${1:-0} =~ ^[0-9]+$ ]] || refuse "databases of Redis are numbers"
blocking='(^|'$'\n'')[[:space:]]*(subscribe|psubscribe|ssubscribe|monitor|sync|psync)([[:space:]]|$)'
shopt -s nocasematch
[[ ! $commands =~ $blocking ]] || refuse "commands that listen work in \`sealos db connect\`"
shopt -u nocasematch
answer=$(printf '%s\n' "$commands" | timeout 60 "$CLI" --no-auth-warning --no-raw --user sealos_platform -s "$RUN/socket" -n "${1:-0}" 2>&1) ||
  refuse "${answer:-the server gave no answer within 60 s}"
[[ $answer != "(error) "* || $answer == *$'\n'*[![:space:]]* ]] || refuse "${answer#(error) }"
printf '%s\n' "$answer" | awk -v limit=1000 '
  BEGIN { printf "{\"columns\":[\"result\"],\"rows\":[" }
  $0 == "" { next }
  { lines++ }
  lines > limit { next }
  {
    gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); gsub(/\t/, "\\t"); gsub(/[\001-\037]/, "")
    printf "%s[\"%s\"]", (lines > 1 ? "," : ""), $0
  }
  END {
    message = lines > limit ? "the first " limit " of " lines " lines" : lines + 0 (lines == 1 ? " line" : " lines")
    printf "],\"message\":\"%s\"}\n", message
  }'
