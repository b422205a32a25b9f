#!/bin/bash
# Makes this replica the primary, once it has applied all that it received.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ $(sql -e 'select @@global.read_only') != 0 ]] || exit 0
status=$(sql -e "show $REPLICA status\\G")
if [[ -n $status ]]; then
  sql -e "stop $REPLICA io_thread"
  for _ in {1..600}; do
    status=$(sql -e "show $REPLICA status\\G")
    [[ $(replica_field "$status" Slave_SQL_Running Replica_SQL_Running) == Yes ]] || break
    if [[ $FLAVOUR == mariadb ]]; then
      [[ $(replica_field "$status" Gtid_IO_Pos) != "$(sql -e 'select @@global.gtid_slave_pos')" ]] || break
      [[ -n $(replica_field "$status" Gtid_IO_Pos) ]] || break
    else
      [[ $(sql -e "select gtid_subset($(sql_text "$(replica_field "$status" Retrieved_Gtid_Set)"), @@global.gtid_executed)") != 1 ]] || break
    fi
    sleep 0.1
  done
  sql -e "stop $REPLICA; reset $REPLICA all"
fi
if [[ $REPLICATION_MODE == sync ]]; then
  if [[ $FLAVOUR == mariadb ]]; then
    sql -e 'set global rpl_semi_sync_slave_enabled = off; set global rpl_semi_sync_master_enabled = on'
  else
    sql -e 'set global rpl_semi_sync_replica_enabled = off; set global rpl_semi_sync_source_enabled = on'
  fi
fi
[[ $FLAVOUR != mysql ]] || sql -e 'set global super_read_only = off'
sql -e 'set global read_only = off'
