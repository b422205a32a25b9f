#!/bin/bash
# members.sh ALL… -- SYNC…: in synchronous mode, commits wait for a replica, unless none counts.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
while (($#)) && [[ $1 != -- ]]; do shift; done
(($# == 0)) || shift
[[ $REPLICATION_MODE == sync ]] || exit 0
wanted=1
(($#)) || wanted=0
variable=rpl_semi_sync_master_enabled
[[ $FLAVOUR == mariadb ]] || variable=rpl_semi_sync_source_enabled
[[ $(quick -e "select @@global.$variable") == "$wanted" ]] || quick -e "set global $variable = $wanted"
