#!/bin/bash
# The closed binary logs that wait to be taken away, oldest first.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ $(cat "$CONFIG/archive" 2>/dev/null) == on ]] || exit 0
cd "$DATA_DIR" || exit 1
last=$(sed 's|.*/||' binlog.index 2>/dev/null | tail -n 1)
for file in binlog.[0-9]*[0-9]; do
  [[ -f $file && $file != "$last" ]] || continue
  name=$(segment_name "$file")
  [[ -e $SPOOL/$name ]] || echo "$name"
done | sort
exit 0
