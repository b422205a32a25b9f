#!/bin/bash
# restore-log.sh NAME: reads one binary log from stdin.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ ${1:-} =~ ^[0-9]{10}-[0-9]+-[0-9]{6,}$ ]] || die "\`${1:-}\` is no name of a segment"
mkdir -p "$RESTORE_DIR/log"
cat > "$RESTORE_DIR/.segment.$$"
[[ $(od -A n -t x1 -N 4 "$RESTORE_DIR/.segment.$$" | tr -d ' ') == fe62696e ]] || die "\`$1\` is no binary log"
mv "$RESTORE_DIR/.segment.$$" "$RESTORE_DIR/log/$1"
