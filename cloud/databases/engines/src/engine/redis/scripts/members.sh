#!/bin/bash
# members.sh ALL… -- SYNC…: in synchronous mode, writes need a replica that is there, unless none counts.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
while (($#)) && [[ $1 != -- ]]; do shift; done
(($# == 0)) || shift
needed=0
[[ $REPLICATION_MODE != sync || $# == 0 ]] || needed=1
[[ $(quick config set min-replicas-to-write "$needed") == OK* ]] || die "the server refused the number of replicas"
