#!/bin/bash
# Closes the current segment, and returns when the archiver has it: what was committed before is listed then.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
sql -c 'select pg_walfile_name(pg_switch_wal())' > /dev/null
for _ in {1..300}; do
  compgen -G "$DATA_DIR/pg_wal/archive_status/*.ready" > /dev/null || exit 0
  sleep 0.1
done
die "the archiver does not keep up with the log"
