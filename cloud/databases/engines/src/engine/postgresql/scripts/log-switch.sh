#!/bin/bash
# Closes the current segment.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
sql -c 'select pg_walfile_name(pg_switch_wal())' > /dev/null
