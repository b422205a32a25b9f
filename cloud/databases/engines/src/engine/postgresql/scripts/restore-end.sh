#!/bin/bash
# restore-end.sh [TIME]: recovers to TIME or to the end of the log, with a server that nobody else reaches.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ ! -e $RESTORE_DIR/done ]] || exit 0
[[ -s $DATA_DIR/PG_VERSION ]] || die "there is no base backup to recover from"
target=${1:-}
[[ -z $target || $target =~ ^[0-9TZ:.+\ -]+$ ]] || die "\`$target\` is no time; write for example 2026-11-24T16:00:01Z"
# The server wants it without the letters.
target=${target/[Tt]/ }
target=${target/%[Zz]/+00}
if [[ -x $BIN/pg_verifybackup && -e $DATA_DIR/backup_manifest && ! -e $RESTORE_DIR/verified ]]; then
  if ! said=$(as_postgres "$BIN/pg_verifybackup" -n -e -q "$DATA_DIR" 2>&1); then
    die "the backup is damaged: $(head -n 1 <<< "$said")"
  fi
  touch "$RESTORE_DIR/verified"
fi
bash "$SCRIPTS/configure.sh"
log=$RESTORE_DIR/recovery.log

write_settings() {
  local limit=''
  [[ -z $1 ]] || limit="recovery_target_time = '$1'"
  cat > "$DATA_DIR/sealos-members.conf" <<CONF
listen_addresses = ''
hot_standby = off
archive_mode = off
synchronous_standby_names = ''
primary_conninfo = ''
primary_slot_name = ''
shared_preload_libraries = ''
restore_command = 'cp "$RESTORE_DIR/wal/%f" "%p"'
recovery_target_action = 'promote'
$limit
CONF
  chown postgres:postgres "$DATA_DIR/sealos-members.conf"
  rm -f "$DATA_DIR/standby.signal"
  as_postgres touch "$DATA_DIR/recovery.signal"
}

recover() {
  write_settings "$1"
  "${AS_POSTGRES[@]}" "$BIN/postgres" -D "$DATA_DIR" > "$log" 2>&1 < /dev/null &
  local server=$!
  # It takes nobody until the recovery has ended.
  until pg_isready -q -U postgres -h "$RUN" -p "$DB_PORT"; do
    kill -0 "$server" 2>/dev/null || return 1
    sleep 0.2
  done
}

if ! recover "$target"; then
  # A time after the last commit means the end.
  if [[ -n $target ]] && grep -q 'recovery ended before configured recovery target was reached' "$log"; then
    recover '' || die "the recovery did not succeed: $(grep -E 'FATAL|PANIC' "$log" | tail -n 1)"
  else
    cat "$log" >&2
    die "the recovery did not succeed: $(grep -E 'FATAL|PANIC' "$log" | tail -n 1)"
  fi
fi
# Slots of replicas that the original had would hold log for nobody.
sql -c "select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active" > /dev/null || true
bash "$SCRIPTS/accounts.sh"
as_postgres "$BIN/pg_ctl" -D "$DATA_DIR" -m fast -w -t 600 stop > /dev/null
bash "$SCRIPTS/configure.sh"
sync -f "$VOLUME"
touch "$RESTORE_DIR/done"
sync -f "$VOLUME"
