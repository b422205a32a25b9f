#!/bin/bash
# Reads all data: has the server write a snapshot, and reads that with its checksum.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
spaces=$(cli info keyspace | tr -d '\r' | grep '^db') || spaces=''
keys=$(sed -n 's/.*keys=\([0-9]*\).*/\1/p' <<< "$spaces" | awk '{ n += $1 } END { print n + 0 }')
tables=$(grep -c '^db' <<< "$spaces")
file=$(mktemp "$VOLUME/.check.XXXXXX") || die "there is no room for a snapshot"
trap 'rm -f "$file"' EXIT
cli --rdb "$file" > /dev/null 2>&1 || die "the server gave no snapshot"
ok=true detail="read $keys keys of $tables databases"
check_rdb "$file" || { ok=false detail="the snapshot is damaged: $(tail -n 1 /tmp/sealos-check-rdb)"; }
printf '{"ok":%s,"tables":%d,"rows":%d,"detail":%s}\n' "$ok" "$tables" "$keys" "$(json_text "$detail")"
