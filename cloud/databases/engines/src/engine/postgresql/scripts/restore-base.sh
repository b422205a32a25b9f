#!/bin/bash
# Reads the stream of backup.sh into an empty data directory.
set -eu -o pipefail
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ ! -e $RESTORE_DIR/done ]] || die "this database has been restored already"
mkdir -p "$RESTORE_DIR"
rm -rf "$DATA_DIR" "$RESTORE_DIR/wal"
install -d -m 0700 -o postgres -g postgres "$DATA_DIR"
install -d -m 0700 -o postgres -g postgres "$RESTORE_DIR/wal"
as_postgres tar -x -C "$DATA_DIR" -f - || die "the backup is damaged: it is no whole archive"
[[ -s $DATA_DIR/PG_VERSION && -s $DATA_DIR/backup_label ]] || die "the backup is no backup of PostgreSQL"
[[ -x /usr/lib/postgresql/$(<"$DATA_DIR/PG_VERSION")/bin/postgres || $("$BIN/postgres" --version) =~ \ $(<"$DATA_DIR/PG_VERSION")\. ]] ||
  die "the backup is of PostgreSQL $(<"$DATA_DIR/PG_VERSION"), which this image does not have"
sync -f "$VOLUME"
