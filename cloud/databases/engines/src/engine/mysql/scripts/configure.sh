#!/bin/bash
# configure.sh primary|replica: writes the server's configuration.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
memory=$((${MEMORY_LIMIT:-0} >> 20))
((memory >= 128)) || memory=1024
cpu=${CPU_MILLIS:-$(($(nproc) * 1000))}
volume=$(($(df -Pk "$VOLUME" | awk 'NR == 2 {print $2}') >> 10))
id=$((${POD_NAME##*-} + 1))
semi=OFF
[[ $REPLICATION_MODE != sync ]] || semi=ON
{
  cat <<CONF
# Written at every start. Settings of the user come last and win.
[mysqld]
user = mysql
port = $DB_PORT
bind-address = *
socket = $SOCKET
pid-file = $RUN/pid
datadir = $DATA_DIR
skip-name-resolve
character-set-server = utf8mb4
max_connections = $(clamp $((400 * cpu / 1000 + 300 * memory / 1024)) 50 100000)
innodb_buffer_pool_size = $(clamp $((memory / 2)) 32 1048576)M
innodb_flush_log_at_trx_commit = 1
innodb_flush_method = O_DIRECT
loose_innodb_log_file_size = $(clamp $((volume / 40)) 16 1024)M
loose_performance_schema = $( ((memory >= 2048)) && echo ON || echo OFF)
max_allowed_packet = 64M
log_output = TABLE
slow_query_log = ON
long_query_time = 1
server_id = $id
report_host = $POD_NAME
log-bin = binlog
relay-log = relay
binlog_format = ROW
sync_binlog = 1
max_binlog_size = 64M
loose_binlog_expire_logs_seconds = 259200
log_slave_updates = ON
slave_net_timeout = 4
relay_log_recovery = ON
skip-slave-start
loose_slave_parallel_mode = conservative
loose_gtid_strict_mode = ON
loose_gtid_mode = ON
loose_enforce_gtid_consistency = ON
loose_rpl_semi_sync_master_timeout = 3600000000
loose_rpl_semi_sync_source_timeout = 3600000000
loose_rpl_semi_sync_master_wait_point = AFTER_SYNC
CONF
  if [[ $1 == replica ]]; then
    echo "read_only = ON"
    echo "loose_super_read_only = ON"
    echo "loose_rpl_semi_sync_slave_enabled = $semi"
    echo "loose_rpl_semi_sync_replica_enabled = $semi"
    # What no replica has acknowledged is taken back when a former primary recovers.
    [[ $semi != ON ]] || echo "loose_init_rpl_role = SLAVE"
  else
    echo "loose_rpl_semi_sync_master_enabled = $semi"
    echo "loose_rpl_semi_sync_source_enabled = $semi"
    echo "init_file = $RUN/accounts.sql"
  fi
  if [[ $FLAVOUR == mysql && $semi == ON ]]; then
    echo "plugin-load-add = semisync_source.so"
    echo "plugin-load-add = semisync_replica.so"
  fi
  sed -n 's/^[a-z]/loose_&/p' "$CONFIG/parameters.conf" 2>/dev/null || true
} > "$RUN/my.cnf.new"
mv "$RUN/my.cnf.new" "$RUN/my.cnf"
chmod 0644 "$RUN/my.cnf"
(umask 077 && account_statements > "$RUN/accounts.sql")
chown mysql "$RUN/accounts.sql"
