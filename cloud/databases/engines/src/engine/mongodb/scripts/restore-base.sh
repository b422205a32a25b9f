#!/bin/bash
# Reads the stream of backup.sh.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ ! -e $RESTORE_DIR/done ]] || die "this database has been restored already"
mkdir -p "$RESTORE_DIR"
rm -rf "$DATA_DIR" "$RESTORE_DIR/archive"
install -d -o mongodb -g mongodb "$DATA_DIR"
cat > "$RESTORE_DIR/archive"
[[ $(od -A n -t x1 -N 4 "$RESTORE_DIR/archive" | tr -d ' ') == 6de29981 ]] || die "the backup is no archive of MongoDB"
sync -f "$VOLUME"
