#!/bin/bash
# What the charts show.
set -eu -o pipefail
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
status=$(quick -e "show global status; select 'max_connections', @@global.max_connections; select 'storage', sum(data_length + index_length) from information_schema.tables")
lag=$(replica_field "$(quick -e "show $REPLICA status\\G")" Seconds_Behind_Master Seconds_Behind_Source)
[[ $lag =~ ^[0-9]+$ ]] || lag=0
awk -F '\t' -v lag="$lag" '
  { v[$1] = $2 }
  END {
    printf "{\"connections\":%d,\"activeConnections\":%d,\"maxConnections\":%d,\"transactions\":%.0f,\"queries\":%.0f,", v["Threads_connected"], v["Threads_running"], v["max_connections"], v["Com_commit"] + v["Com_rollback"] + v["Com_insert"] + v["Com_update"] + v["Com_delete"], v["Questions"]
    printf "\"cacheHits\":%.0f,\"cacheMisses\":%.0f,\"rowsRead\":%.0f,\"rowsWritten\":%.0f,\"slowQueries\":%.0f,\"replicationLagSeconds\":%d,\"storageBytes\":%.0f}\n", v["Innodb_buffer_pool_read_requests"] - v["Innodb_buffer_pool_reads"], v["Innodb_buffer_pool_reads"], v["Innodb_rows_read"], v["Innodb_rows_inserted"] + v["Innodb_rows_updated"] + v["Innodb_rows_deleted"], v["Slow_queries"], lag, v["storage"]
  }' <<< "$status"
