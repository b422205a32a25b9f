#!/bin/bash
# Says what this server is. Positions are offsets of the replication stream.
set -eu -o pipefail
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
quick info replication | tr -d '\r' | awk -F : '
  { v[$1] = $2 }
  END {
    if (!("role" in v)) exit 1
    primary = v["role"] == "master"
    position = primary ? v["master_repl_offset"] : v["slave_repl_offset"]
    lag = primary ? 0 : v["slave_read_repl_offset"] - v["slave_repl_offset"]
    seconds = primary ? 0 : (v["master_link_status"] == "up" ? v["master_last_io_seconds_ago"] : v["master_link_down_since_seconds"])
    if (seconds < 0) seconds = 0
    printf "{\"role\":\"%s\",\"position\":\"%.0f\",\"lagBytes\":%d,\"lagSeconds\":%d,\"readOnly\":%s,\"replicas\":%d}\n",
      (primary ? "primary" : "secondary"), position, lag, seconds, (primary ? "false" : "true"), v["connected_slaves"]
  }'
