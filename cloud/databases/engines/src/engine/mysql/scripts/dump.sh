#!/bin/bash
# dump.sh [DATABASE]: SQL of one database, or of all that are the user's.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
options=(--defaults-extra-file="$(credentials)" --default-character-set=utf8mb4 --single-transaction --quick --routines --events --triggers --hex-blob --max-allowed-packet=1G)
[[ $FLAVOUR == mariadb ]] || options+=(--set-gtid-purged=OFF)
if [[ -n ${1:-} ]]; then
  exec "$DUMP" "${options[@]}" -- "$1"
fi
mapfile -t databases < <(sql -e "select schema_name from information_schema.schemata where schema_name not in ('mysql', 'sys', 'performance_schema', 'information_schema')")
if ((${#databases[@]} == 0)); then
  echo "-- There are no databases."
  exit
fi
exec "$DUMP" "${options[@]}" --databases -- "${databases[@]}"
