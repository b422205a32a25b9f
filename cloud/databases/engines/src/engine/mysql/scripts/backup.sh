#!/bin/bash
# A physical backup where the image has the tool, else a consistent dump with its position; one stream.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
if [[ -n $BACKUP && $FLAVOUR == mariadb ]]; then
  scratch=$(mktemp -d "$VOLUME/.backup.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  (umask 077 && cat "$(credentials)" > "$scratch/options" && printf '[mariadb-backup]\ndatadir=%s\n' "$DATA_DIR" >> "$scratch/options")
  "$BACKUP" --defaults-file="$scratch/options" --backup --stream=mbstream --target-dir="$scratch/work" 2> "$scratch/said" || {
    grep -iE 'error|fail' "$scratch/said" | tail -n 3 >&2
    die "the backup did not succeed"
  }
  exit
fi
position=(--master-data=2 --gtid)
[[ $FLAVOUR == mariadb ]] || position=(--source-data=2 --set-gtid-purged=ON)
"$DUMP" --defaults-extra-file="$(credentials)" --default-character-set=utf8mb4 --all-databases --single-transaction --quick \
  --routines --events --triggers --hex-blob --max-allowed-packet=1G "${position[@]}"
