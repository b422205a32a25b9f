#!/bin/bash
# dump.sh [DATABASE]: SQL of one database, or of all with their roles.
set -eu -o pipefail
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
connect=(-h "$RUN" -p "$DB_PORT" -U postgres)
name() { printf "dbname='%s'" "${1//\'/\\\'}"; }
if [[ -n ${1:-} ]]; then
  exec pg_dump "${connect[@]}" --clean --if-exists -d "$(name "$1")"
fi
echo "-- PostgreSQL database cluster dump"
# Roles that every database of this platform has keep their passwords.
pg_dumpall "${connect[@]}" --roles-only | grep -vE "^(CREATE|ALTER) ROLE \"?(postgres|$REPLICATION_USER)\"?[ ;]"
sql -c "select datname from pg_database where datallowconn and not datistemplate order by datname <> 'postgres', 1" |
  while IFS= read -r database; do
    if [[ $database == postgres ]]; then
      printf '\n\\connect postgres\n'
      pg_dump "${connect[@]}" --clean --if-exists -d postgres
    else
      printf '\n\\connect postgres\n'
      pg_dump "${connect[@]}" --clean --if-exists --create -d "$(name "$database")"
    fi
  done
