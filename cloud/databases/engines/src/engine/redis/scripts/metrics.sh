#!/bin/bash
# What the charts show.
set -eu -o pipefail
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
bytes=$(du -sb "$DATA_DIR" | cut -f 1)
quick info | tr -d '\r' | awk -F : -v bytes="$bytes" '
  { v[$1] = $2 }
  $1 ~ /^db[0-9]+$/ { split($2, a, /[=,]/); keys += a[2] }
  END {
    primary = v["role"] == "master"
    lag = primary ? 0 : (v["master_link_status"] == "up" ? v["master_last_io_seconds_ago"] : v["master_link_down_since_seconds"])
    printf "{\"connections\":%d,\"maxConnections\":%d,\"transactions\":%.0f,\"transactionsPerSecond\":%d,\"cacheHits\":%.0f,\"cacheMisses\":%.0f,", v["connected_clients"], v["maxclients"], v["total_commands_processed"], v["instantaneous_ops_per_sec"], v["keyspace_hits"], v["keyspace_misses"]
    printf "\"keys\":%.0f,\"evictedKeys\":%.0f,\"expiredKeys\":%.0f,\"memoryBytes\":%.0f,\"maxMemoryBytes\":%.0f,\"replicas\":%d,\"replicationLagSeconds\":%d,\"storageBytes\":%.0f}\n", keys, v["evicted_keys"], v["expired_keys"], v["used_memory"], v["maxmemory"], v["connected_slaves"], (lag < 0 ? 0 : lag), bytes
  }'
