#!/bin/bash
# restore-log.sh NAME: reads one segment from stdin.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ ${1:-} =~ ^[0-9A-F]{8}(\.history|[0-9A-F]{16}(\.partial)?)$ ]] || die "\`${1:-}\` is no name of a segment"
mkdir -p "$RESTORE_DIR/wal"
cat > "$RESTORE_DIR/.segment.$$"
chown postgres:postgres "$RESTORE_DIR/.segment.$$"
mv "$RESTORE_DIR/.segment.$$" "$RESTORE_DIR/wal/$1"
