#!/bin/bash
# Says what this server is. Positions are numbers of transactions.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
if [[ $FLAVOUR == mariadb ]]; then
  facts=$(quick -e "select @@global.read_only, @@global.gtid_current_pos, @@global.gtid_binlog_pos, (select count(*) from information_schema.processlist where command like 'Binlog Dump%')") || die "the server does not answer"
else
  facts=$(quick -e "select @@global.read_only, replace(@@global.gtid_executed, '\n', ''), '', (select count(*) from information_schema.processlist where command like 'Binlog Dump%')") || die "the server does not answer"
fi
IFS=$'\t' read -r read_only current written replicas <<< "$facts"
status=$(quick -e "show $REPLICA status\\G") || die "the server does not answer"
# The last number of MariaDB's positions (0-1-17), or how many transactions MySQL's sets have (uuid:1-17:20).
number() {
  if [[ $FLAVOUR == mariadb ]]; then
    tr ',' '\n' <<< "$1" | awk -F - '{ if ($3 > most) most = $3 } END { print most + 0 }'
  else
    tr ',:' '\n' <<< "$1" | awk '/^ *[0-9]+(-[0-9]+)?$/ { split($1, a, "-"); n += (a[2] ? a[2] - a[1] + 1 : 1) } END { print n + 0 }'
  fi
}
position=$(number "$current")
other=$(number "$written")
((other <= position)) || position=$other
role=primary lag=0 seconds=0 writable=false
if [[ $read_only != 0 ]]; then
  role=secondary writable=true
  if [[ $FLAVOUR == mariadb ]]; then
    received=$(number "$(replica_field "$status" Gtid_IO_Pos)")
  else
    received=$((position + $(number "$(quick -e "select gtid_subtract($(sql_text "$(replica_field "$status" Retrieved_Gtid_Set)"), @@global.gtid_executed)")")))
  fi
  ((received <= position)) || position=$received
  if [[ $(replica_field "$status" Master_Log_File Source_Log_File) == "$(replica_field "$status" Relay_Master_Log_File Relay_Source_Log_File)" ]]; then
    read_to=$(replica_field "$status" Read_Master_Log_Pos Read_Source_Log_Pos)
    applied=$(replica_field "$status" Exec_Master_Log_Pos Exec_Source_Log_Pos)
    lag=$((${read_to:-0} - ${applied:-0}))
  fi
  seconds=$(replica_field "$status" Seconds_Behind_Master Seconds_Behind_Source)
  [[ $seconds =~ ^[0-9]+$ ]] || seconds=0
fi
printf '{"role":"%s","position":"%s","lagBytes":%d,"lagSeconds":%d,"readOnly":%s,"replicas":%d}\n' \
  "$role" "$position" "$lag" "$seconds" "$writable" "$replicas"
