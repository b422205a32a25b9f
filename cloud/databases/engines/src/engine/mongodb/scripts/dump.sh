#!/bin/bash
# dump.sh [DATABASE]: an archive of one database, or of all.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
tool_options
exec mongodump "${TOOL_OPTIONS[@]}" ${1:+--db "$1"} --archive
