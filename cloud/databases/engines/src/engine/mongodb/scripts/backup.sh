#!/bin/bash
# A consistent dump of everything, as one archive.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
tool_options
exec mongodump "${TOOL_OPTIONS[@]}" --oplog --archive
