#!/bin/bash
# Sets the user's password from stdin.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
new=$(cat)
[[ -n $new ]] || die "the new password is empty"
sql -B <<< "alter user '$DB_USER'@'%' identified by $(sql_text "$new");"
