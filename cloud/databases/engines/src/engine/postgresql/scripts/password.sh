#!/bin/bash
# Sets the user's password from stdin.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
NEW=$(cat)
[[ -n $NEW ]] || die "the new password is empty"
export NEW
sql -v user="$DB_USER" <<'SQL'
set log_statement = 'none';
set log_min_duration_statement = -1;
set log_min_error_statement = 'panic';
\set password `printf %s "$NEW"`
alter role :"user" password :'password';
SQL
