#!/bin/bash
# Sets the user's password from stdin.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
NEW=$(cat)
[[ -n $NEW ]] || die "the new password is empty"
export NEW
js 30 <<< "db.changeUserPassword(process.env.DB_USER, process.env.NEW)" > /dev/null
