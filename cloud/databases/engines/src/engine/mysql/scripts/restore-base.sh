#!/bin/bash
# Reads the stream of backup.sh into the empty data directory.
set -eu -o pipefail
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ ! -e $RESTORE_DIR/done ]] || die "this database has been restored already"
mkdir -p "$RESTORE_DIR" "$RUN"
rm -rf "$DATA_DIR" "$RESTORE_DIR/log" "$RESTORE_DIR/base.sql" "$RESTORE_DIR/position"
install -d -o mysql -g mysql "$DATA_DIR"
head=$(mktemp)
trap 'rm -f "$head"' EXIT
head -c 64 > "$head"
if [[ $(head -c 8 "$head") == XBSTCK01 ]]; then
  [[ -n $BACKUP ]] || die "the backup is one of MariaDB, which this image is not"
  cat "$head" - | mbstream -x -C "$DATA_DIR" || die "the backup is damaged: its stream breaks off"
  "$BACKUP" --prepare --target-dir="$DATA_DIR" > "$RESTORE_DIR/prepare.log" 2>&1 ||
    die "the backup is damaged: $(grep -iE 'error|corrupt' "$RESTORE_DIR/prepare.log" | tail -n 1)"
  cat "$DATA_DIR"/{xtrabackup,mariadb_backup}_binlog_info 2>/dev/null | awk '{print $3}' | head -n 1 > "$RESTORE_DIR/position" || true
  chown -R mysql:mysql "$DATA_DIR"
else
  [[ $(head -c 4 "$head") == '/*M!' || $(head -c 3 "$head") == '-- ' ]] || die "the backup is no backup of MySQL"
  cat "$head" - > "$RESTORE_DIR/base.sql"
  [[ $(tail -n 1 "$RESTORE_DIR/base.sql") == '-- Dump completed'* ]] || die "the backup is damaged: it breaks off"
  sed -n "/gtid_slave_pos=/{s/.*gtid_slave_pos='\([^']*\)'.*/\1/p;q}" "$RESTORE_DIR/base.sql" > "$RESTORE_DIR/position"
fi
