#!/bin/bash
# Checks and counts every table.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
list=$(sql -e "select concat('\`', replace(table_schema, '\`', '\`\`'), '\`.\`', replace(table_name, '\`', '\`\`'), '\`') from information_schema.tables
  where table_type = 'BASE TABLE' and table_schema not in ('mysql', 'sys', 'performance_schema', 'information_schema')") || die "the server does not answer"
tables=0 rows=0 ok=true detail=''
while IFS= read -r table; do
  [[ -n $table ]] || continue
  said=$(sql -e "check table $table extended" 2>&1 | grep -v 'status.OK$' | head -n 1)
  [[ -z $said || $said == *note* ]] || { ok=false detail+="$said. "; }
  if count=$(sql -e "select count(*) from $table" 2>&1); then
    tables=$((tables + 1)) rows=$((rows + count))
  else
    ok=false detail+="$table: $count. "
  fi
done <<< "$list"
[[ -n $detail ]] || detail="checked $rows rows of $tables tables"
printf '{"ok":%s,"tables":%d,"rows":%d,"detail":%s}\n' "$ok" "$tables" "$rows" "$(json_text "${detail:0:2000}")"
