#!/bin/bash
# Reads the stream of backup.sh into the empty data directory.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ ! -e $RESTORE_DIR/done ]] || die "this database has been restored already"
mkdir -p "$RESTORE_DIR" "$DATA_DIR"
rm -rf "${DATA_DIR:?}"/*
cat > "$DATA_DIR/dump.rdb"
check_rdb "$DATA_DIR/dump.rdb" || die "the backup is damaged or no snapshot of Redis: $(tail -n 1 /tmp/sealos-check-rdb 2>/dev/null)"
chown -R "$OWNER" "$DATA_DIR"
