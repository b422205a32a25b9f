#!/bin/bash
# Runs the server in the foreground: as the primary if the topology names this pod, else as a replica.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

child=''
stopping=''
# shellcheck disable=SC2317 # a trap calls it
stop() {
  stopping=1
  if [[ -n $child ]]; then kill -s TERM "$child" 2>/dev/null; else exit 0; fi
}
trap stop TERM INT
phase() { echo "$*" > "$PHASE"; say "$*"; }
pause() { sleep "$1" & wait $!; }

prepare() {
  mkdir -p "$VOLUME" "$RUN" "$SPOOL" /run/mysqld
  rm -rf "$DATA_DIR.init" "$DATA_DIR.clone"
  rm -f "$RUN"/*.cnf "$SOCKET" "$RUN/pid"
  chmod 0755 "$RUN"
  chown mysql:mysql "$RUN" /run/mysqld
  if [[ ! -d $DATA_DIR/mysql && -d $DATA_DIR.old/mysql ]]; then
    rm -rf "$DATA_DIR"
    mv "$DATA_DIR.old" "$DATA_DIR"
  fi
  mkdir -p "$DATA_DIR"
  chown -R mysql:mysql "$DATA_DIR"
}

has_data() { [[ -d $DATA_DIR/mysql && -e $DATA_DIR/ibdata1 ]]; }

swap_in() {
  rm -rf "$DATA_DIR.old"
  sync -f "$VOLUME"
  [[ ! -d $DATA_DIR ]] || mv "$DATA_DIR" "$DATA_DIR.old"
  mv "$1" "$DATA_DIR"
  sync -f "$VOLUME"
  rm -rf "$DATA_DIR.old"
}

new_files() { # DIRECTORY
  install -d -o mysql -g mysql "$1"
  if [[ $FLAVOUR == mariadb ]]; then
    "$(command -v mariadb-install-db)" --no-defaults --user=mysql --datadir="$1" --skip-test-db --skip-name-resolve \
      --auth-root-authentication-method=socket > /tmp/sealos-init 2>&1
  else
    as_mysql "$SERVER" --no-defaults --initialize-insecure --datadir="$1" > /tmp/sealos-init 2>&1
  fi || die "the new database could not be made: $(tail -n 2 /tmp/sealos-init)"
}

await_restore() {
  [[ ${RESTORE:-} == 1 && ! -e $RESTORE_DIR/done ]] || return 0
  if has_data && [[ ! -d $RESTORE_DIR ]]; then return 0; fi
  phase "waiting for the data of a backup"
  mkdir -p "$RESTORE_DIR"
  touch "$RESTORE_DIR/waiting"
  while [[ ! -e $RESTORE_DIR/done ]]; do pause 0.2; done
  rm -rf "$RESTORE_DIR/log" "$RESTORE_DIR/waiting"
}

ask_primary() { [[ $(at_primary -e 'select @@global.read_only' 2>/dev/null) == 0 ]]; }

# Copies the primary's data by a consistent dump with its position.
clone() {
  phase "copying the primary's data"
  rm -rf "$DATA_DIR.clone"
  new_files "$DATA_DIR.clone"
  start_private "$DATA_DIR.clone" /tmp/sealos-clone || { say "$(tail -n 3 /tmp/sealos-clone)"; return 1; }
  local position=(--master-data=1 --gtid)
  [[ $FLAVOUR == mariadb ]] || position=(--set-gtid-purged=ON)
  # The position is wanted, the statement that would make this private server a replica is not.
  if ! (set -o pipefail; "$DUMP" --defaults-extra-file="$(primary_credentials)" --default-character-set=utf8mb4 --all-databases \
    --single-transaction --quick --routines --events --triggers --hex-blob --max-allowed-packet=1G "${position[@]}" |
    sed '1,200{/^CHANGE MASTER TO/d}' | private_sql); then
    stop_private
    rm -rf "$DATA_DIR.clone"
    return 1
  fi
  stop_private || return 1
  swap_in "$DATA_DIR.clone"
  rm -f "$VOLUME/.stuck"
}

become_replica() {
  local told=''
  while :; do
    if has_data && [[ ! -e $VOLUME/.stuck ]]; then return; fi
    # The data here go only when a copy is complete.
    if ask_primary && clone; then return; fi
    [[ $(named_primary) == "$POD_NAME" ]] && has_data && return
    [[ -n $told ]] || phase "waiting for the primary $PRIMARY_HOST"
    told=1
    pause 0.5
  done
}

# Follows the primary from where these data end.
follow() {
  local secret
  secret=$(sql_text "$REPLICATION_PASSWORD")
  if [[ $FLAVOUR == mariadb ]]; then
    sql -B <<SQL
stop slave;
set global gtid_slave_pos = @@global.gtid_current_pos;
change master to master_host = '$PRIMARY_HOST', master_port = $DB_PORT, master_user = '$REPLICATION_USER',
  master_password = $secret, master_connect_retry = 1, master_heartbeat_period = 1, master_use_gtid = slave_pos;
start slave;
SQL
  else
    sql -B <<SQL
stop replica;
change replication source to source_host = '$PRIMARY_HOST', source_port = $DB_PORT, source_user = '$REPLICATION_USER',
  source_password = $secret, source_connect_retry = 1, source_retry_count = 0, source_heartbeat_period = 1, source_auto_position = 1,
  get_source_public_key = 1;
start replica;
SQL
  fi
}

# Once it answers: a replica follows; one that cannot, although there is a primary, starts over with a copy.
settle() {
  local role=$1 server=$2 lost=0 status
  until quick -e 'select 1' > /dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || return
    sleep 0.1
  done
  rm -f "$PHASE"
  if [[ $role == primary ]]; then
    rm -f "$RUN/accounts.sql"
    return
  fi
  follow || say "the primary could not be followed"
  while pause 2; do
    kill -0 "$server" 2>/dev/null || return
    status=$(quick -e "show $REPLICA status\\G" 2>/dev/null) || continue
    [[ -n $status ]] || return
    if [[ $(replica_field "$status" Slave_SQL_Running Replica_SQL_Running) == Yes && $(replica_field "$status" Slave_IO_Running Replica_IO_Running) == Yes ]]; then
      lost=0
    elif [[ $(replica_field "$status" Last_IO_Errno) =~ ^(1236|13114)$ || $(replica_field "$status" Last_SQL_Errno) != 0 ]] && ask_primary; then
      lost=$((lost + 1))
    fi
    if ((lost >= 3)); then
      say "these data do not follow from the primary's ($(replica_field "$status" Last_IO_Error) $(replica_field "$status" Last_SQL_Error)): copying them anew"
      touch "$VOLUME/.stuck"
      kill -s TERM "$server"
      return
    fi
  done
}

prepare
role=replica
if [[ $(named_primary) == "$POD_NAME" ]]; then
  role=primary
  await_restore
  if ! has_data; then
    phase "making a new database"
    new_files "$DATA_DIR.init"
    swap_in "$DATA_DIR.init"
  fi
else
  become_replica
fi
bash "$SCRIPTS/configure.sh" "$role" || die "the configuration could not be written"
phase "starting as $role"
"$SERVER" --defaults-file="$RUN/my.cnf" &
child=$!
[[ -z $stopping ]] || kill -s TERM "$child"
settle "$role" "$child" &
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || break
done
exit "$code"
