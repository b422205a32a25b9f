#!/bin/bash
# configure.sh primary|replica: writes the server's configuration.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
memory=$((${MEMORY_LIMIT:-0} >> 20))
((memory >= 16)) || memory=512
cpu=${CPU_MILLIS:-$(($(nproc) * 1000))}
fsync=everysec needed=0
[[ $REPLICATION_MODE != sync ]] || { fsync=always needed=1; }
umask 077
{
  cat <<CONF
# Written at every start. Settings of the user come last and win.
bind * -::*
port $DB_PORT
unixsocket $RUN/socket
unixsocketperm 700
protected-mode no
daemonize no
dir $DATA_DIR
logfile ""
dbfilename dump.rdb
save ""
appendonly yes
appendfsync $fsync
aof-use-rdb-preamble yes
# A log whose last command was cut off by a crash is read up to there.
aof-load-truncated yes
# What is over is for copies during snapshots, buffers of clients and replicas.
maxmemory $((memory * 3 / 4))mb
maxmemory-policy noeviction
maxclients $((cpu + 500 * memory / 1024 < 100 ? 100 : cpu + 500 * memory / 1024))
tcp-keepalive 60
repl-backlog-size $((memory / 16 < 1 ? 1 : memory / 16))mb
repl-diskless-sync yes
repl-diskless-sync-delay 0
repl-ping-replica-period 1
repl-timeout 10
min-replicas-to-write $needed
min-replicas-max-lag 3
enable-debug-command local
user default on #$(hash "$DB_PASSWORD") ~* &* +@all
user sealos_platform on #$(hash "$REPLICATION_PASSWORD") ~* &* +@all
masteruser sealos_platform
masterauth $(quoted "$REPLICATION_PASSWORD")
CONF
  [[ $1 != replica ]] || echo "replicaof $PRIMARY_HOST $DB_PORT"
  cat "$CONFIG/parameters.conf" 2>/dev/null || true
} > "$DATA_DIR/sealos.conf.new"
chown "$OWNER" "$DATA_DIR/sealos.conf.new"
mv "$DATA_DIR/sealos.conf.new" "$DATA_DIR/sealos.conf"
