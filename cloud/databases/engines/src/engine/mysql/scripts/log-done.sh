#!/bin/bash
# log-done.sh NAME…: these are safe elsewhere. The server removes them when they are old enough.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
mkdir -p "$SPOOL"
for name in "$@"; do
  [[ $name =~ ^[0-9]{10}-[0-9]+-[0-9]{6,}$ ]] || die "\`$name\` is no name of a segment"
  touch "$SPOOL/$name"
done
# Notes about logs that are gone are of no use.
for note in "$SPOOL"/*; do
  [[ ! -e $note || -e $DATA_DIR/binlog.${note##*-} ]] || rm -f "$note"
done
