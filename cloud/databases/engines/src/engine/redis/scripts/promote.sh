#!/bin/bash
# Makes this replica the primary.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ $(cli replicaof no one) == OK* ]] || die "the server refused to become the primary"
[[ $(cli role | head -n 1) == master ]] || die "the server is still a replica"
