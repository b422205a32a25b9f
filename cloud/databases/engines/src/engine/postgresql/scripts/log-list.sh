#!/bin/bash
# The segments that wait, history files first, then oldest first.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ -d $SPOOL ]] || exit 0
cd "$SPOOL" || exit 1
find . -maxdepth 1 -type f -name '*.history' -printf '%f\n' | sort
find . -maxdepth 1 -type f ! -name '*.history' -printf '%f\n' | grep -E '^[0-9A-F]{24}(\.partial)?$' | sort
exit 0
