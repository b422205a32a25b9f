#!/bin/bash
# Writes the server's configuration: sized by the limits of the pod, then what the user has set.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

memory=$((${MEMORY_LIMIT:-0} >> 20))
((memory >= 64)) || memory=1024
cpu=${CPU_MILLIS:-$(($(nproc) * 1000))}
volume=$(($(df -Pk "$VOLUME" | awk 'NR == 2 {print $2}') >> 10))
connections=$(mebibytes $((400 * cpu / 1000 + 300 * memory / 1024)) 50 100000)
workers=$(mebibytes $(((cpu + 999) / 1000)) 2 64)

# Parallel queries share memory: in /dev/shm only where a pod's is no tiny one.
shared=posix
shm=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 {print $2}')
((${shm:-0} >= 262144)) || shared=sysv

preload=''
[[ -e $("$BIN/pg_config" --pkglibdir 2>/dev/null || echo "${BIN%/bin}/lib")/pg_stat_statements.so ]] && preload=pg_stat_statements

write() { # FILE: puts stdin there in one step
  cat > "$1.new" && chown postgres:postgres "$1.new" && chmod 0600 "$1.new" && mv "$1.new" "$1"
}

write "$DATA_DIR/postgresql.conf" <<CONF
# Written at every start. Settings of the user come last and win.
listen_addresses = '*'
port = $DB_PORT
unix_socket_directories = '$RUN'
password_encryption = 'scram-sha-256'
max_connections = $connections
shared_buffers = '$(mebibytes $((memory / 4)) 16 65536)MB'
effective_cache_size = '$(mebibytes $((memory * 7 / 10)) 32 262144)MB'
work_mem = '$(mebibytes $((memory / 256)) 4 64)MB'
maintenance_work_mem = '$(mebibytes $((memory / 16)) 16 2048)MB'
dynamic_shared_memory_type = '$shared'
max_worker_processes = $((workers + 8))
max_parallel_workers = $workers
max_parallel_workers_per_gather = $(((workers + 1) / 2))
random_page_cost = 1.1
shared_preload_libraries = '$preload'

wal_level = 'replica'
wal_log_hints = on
wal_compression = on
max_wal_size = '$(mebibytes $((volume / 10)) 128 4096)MB'
min_wal_size = '80MB'
wal_keep_size = '$(mebibytes $((volume / 20)) 64 1024)MB'
max_slot_wal_keep_size = '$(mebibytes $((volume / 5)) 256 65536)MB'
checkpoint_completion_target = 0.9
max_wal_senders = 32
max_replication_slots = 32
# Always on, so that archiving can be switched without a restart; archive.sh looks whether it is wanted.
archive_mode = 'always'
archive_command = '/bin/bash $SCRIPTS/archive.sh "%p" "%f"'
archive_timeout = 0

hot_standby = on
hot_standby_feedback = on
primary_conninfo = '$(primary_conninfo)'
primary_slot_name = '$(slot_name "$POD_NAME")'
recovery_target_timeline = 'latest'
wal_retrieve_retry_interval = '200ms'
wal_receiver_timeout = '5s'
wal_receiver_status_interval = '1s'
wal_sender_timeout = '10s'

log_destination = 'stderr'
logging_collector = off
log_line_prefix = '%m [%p] %q%u@%d '
log_timezone = 'UTC'
timezone = 'UTC'
lc_messages = 'C.UTF-8'
track_io_timing = on

include_if_exists = '$CONFIG/parameters.conf'
include_if_exists = 'sealos-members.conf'
include_if_exists = 'sealos-standby.conf'
CONF

# A replica refuses to run with less of these than its primary had when it wrote the log.
if [[ -e $DATA_DIR/standby.signal ]]; then
  control=$("$BIN/pg_controldata" -D "$DATA_DIR")
  while read -r name label own; do
    needed=$(sed -n "s/^$label setting: *//p" <<< "$control")
    wanted=$(sed -n "s/^$name = '\([0-9]*\)'$/\1/p" "$CONFIG/parameters.conf" 2>/dev/null | tail -n 1)
    ((${needed:-0} > ${wanted:-$own})) && echo "$name = $needed"
  done <<NAMES | write "$DATA_DIR/sealos-standby.conf"
max_connections max_connections $connections
max_worker_processes max_worker_processes $((workers + 8))
max_wal_senders max_wal_senders 32
max_prepared_transactions max_prepared_xacts 0
max_locks_per_transaction max_locks_per_xact 64
NAMES
else
  rm -f "$DATA_DIR/sealos-standby.conf"
fi

write "$DATA_DIR/pg_hba.conf" <<'CONF'
# Inside of the container everybody is the administrator; from outside a password is asked for.
local all         all               trust
local replication all               trust
host  all         all  127.0.0.1/32 scram-sha-256
host  all         all  0.0.0.0/0    scram-sha-256
host  all         all  ::/0         scram-sha-256
host  replication all  0.0.0.0/0    scram-sha-256
host  replication all  ::/0         scram-sha-256
CONF
: | write "$DATA_DIR/pg_ident.conf"

# Until members.sh names the replicas, synchronous commits wait for any of them.
if [[ $REPLICATION_MODE == sync ]]; then
  echo "synchronous_standby_names = 'ANY 1 (*)'" | write "$DATA_DIR/sealos-members.conf"
else
  : | write "$DATA_DIR/sealos-members.conf"
fi
