#!/bin/bash
# Runs PostgreSQL in the foreground: as the primary if the topology names this pod, else as a replica.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

child=''
stopping=''
# shellcheck disable=SC2317 # a trap calls it
# A fast shutdown: clients are disconnected, data are flushed.
stop() {
  stopping=1
  if [[ -n $child ]]; then kill -s INT "$child" 2>/dev/null; else exit 0; fi
}
trap stop TERM INT

phase() { echo "$*" > "$PHASE"; say "$*"; }
pause() { sleep "$1" & wait $!; }

prepare() {
  mkdir -p "$VOLUME" "$RUN" "$SPOOL"
  chown postgres:postgres "$RUN" "$VOLUME/.spool" "$SPOOL"
  [[ -d $DATA_DIR ]] || install -d -m 0700 -o postgres -g postgres "$DATA_DIR"
  rm -rf "$DATA_DIR.init"
  rm -f "$RUN/.s.PGSQL.$DB_PORT" "$RUN/.s.PGSQL.$DB_PORT.lock" "$DATA_DIR/postmaster.pid"
  # A swap of directories that was cut off.
  if [[ ! -e $DATA_DIR/PG_VERSION && -e $DATA_DIR.old/PG_VERSION ]]; then
    rm -rf "$DATA_DIR"
    mv "$DATA_DIR.old" "$DATA_DIR"
  fi
  chown -R postgres:postgres "$DATA_DIR"
  chmod 0700 "$DATA_DIR"
  password_file
}

has_data() { [[ -s $DATA_DIR/PG_VERSION && -s $DATA_DIR/global/pg_control ]]; }

check_version() {
  local have
  have=$("$BIN/postgres" --version | grep -oE '[0-9]+' | head -n 1)
  [[ $(<"$DATA_DIR/PG_VERSION") == "$have" ]] ||
    die "the data are of PostgreSQL $(<"$DATA_DIR/PG_VERSION"), but this image has $have"
}

# Puts a directory in the place of the data; what was there goes only when the new one is in place.
swap_in() {
  rm -rf "$DATA_DIR.old"
  sync -f "$VOLUME"
  [[ ! -d $DATA_DIR ]] || mv "$DATA_DIR" "$DATA_DIR.old"
  mv "$1" "$DATA_DIR"
  sync -f "$VOLUME"
  rm -rf "$DATA_DIR.old"
}

new_database() {
  phase "making a new database"
  install -d -m 0700 -o postgres -g postgres "$DATA_DIR.init"
  local secret
  secret=$(mktemp)
  printf '%s\n' "$DB_PASSWORD" > "$secret"
  chown postgres "$secret"
  as_postgres "$BIN/initdb" -D "$DATA_DIR.init" -U postgres --pwfile="$secret" --data-checksums --no-sync \
    --encoding=UTF8 --locale=C.UTF-8 --auth=scram-sha-256 >&2 || die "initdb did not succeed"
  rm -f "$secret"
  swap_in "$DATA_DIR.init"
}

# With RESTORE=1 the data come through the restore scripts.
await_restore() {
  [[ ${RESTORE:-} == 1 && ! -e $RESTORE_DIR/done ]] || return 0
  if has_data && [[ ! -d $RESTORE_DIR ]]; then return 0; fi
  phase "waiting for the data of a backup"
  mkdir -p "$RESTORE_DIR"
  touch "$RESTORE_DIR/waiting"
  while [[ ! -e $RESTORE_DIR/done ]]; do pause 0.2; done
  rm -rf "$RESTORE_DIR/wal" "$RESTORE_DIR/waiting"
}

own_system() { "$BIN/pg_controldata" -D "$DATA_DIR" | sed -n 's/^Database system identifier: *//p'; }
own_timeline() { "$BIN/pg_controldata" -D "$DATA_DIR" | sed -n "s/^Latest checkpoint's TimeLineID: *//p"; }

# Asks the primary for its identity; succeeds only if it is one that takes writes.
ask_primary() {
  local answer
  answer=$(at_primary -F ' ' -c "select system_identifier, not pg_is_in_recovery() from pg_control_system()" 2>/dev/null) || return 1
  [[ $answer == *' t' ]] || return 1
  primary_system=${answer% t}
}

# The number that the primary's log goes by, once its control file says the same (pg_rewind reads that).
ask_timeline() {
  local i answer
  for i in {1..60}; do
    at_primary -c checkpoint > /dev/null 2>&1
    answer=$(at_primary -F ' ' -c "select timeline_id, ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int from pg_control_checkpoint()" 2>/dev/null) || return 1
    primary_timeline=${answer#* }
    [[ ${answer% *} == "$primary_timeline" ]] && return 0
    ((i % 10)) || say "waiting for a checkpoint of the primary"
    pause 0.5
  done
  return 1
}

reserve_slot() {
  local slot
  slot=$(slot_name "$POD_NAME")
  at_primary -c "select pg_create_physical_replication_slot('$slot', true) where not exists (select from pg_replication_slots where slot_name = '$slot')" > /dev/null 2>&1 || true
}

clone() {
  phase "copying the primary's data"
  rm -rf "$DATA_DIR.clone"
  install -d -m 0700 -o postgres -g postgres "$DATA_DIR.clone"
  reserve_slot
  "${AS_POSTGRES[@]}" "$BIN/pg_basebackup" -d "$(primary_conninfo)" -D "$DATA_DIR.clone" --checkpoint=fast \
    --wal-method=stream --slot="$(slot_name "$POD_NAME")" --no-sync >&2 &
  child=$!
  wait "$child"
  local code=$?
  child=''
  [[ -z $stopping ]] || exit 0
  ((code == 0)) || { rm -rf "$DATA_DIR.clone"; return 1; }
  as_postgres touch "$DATA_DIR.clone/standby.signal"
  swap_in "$DATA_DIR.clone"
  rm -f "$VOLUME/.stuck" "$VOLUME/.rewinding"
}

rewind() {
  phase "going back to where the primary's history and ours parted"
  touch "$VOLUME/.rewinding"
  sync -f "$VOLUME"
  as_postgres "$BIN/pg_rewind" -D "$DATA_DIR" --source-server="$(primary_conninfo) dbname=postgres" --no-sync >&2 || return 1
  as_postgres touch "$DATA_DIR/standby.signal"
  sync -f "$VOLUME"
  rm -f "$VOLUME/.rewinding"
}

# Makes data that follow the primary. Returns 1 if that could not be done now.
follow() {
  ask_primary || return 1
  if ! has_data; then clone; return; fi
  if [[ $(own_system) != "$primary_system" ]]; then
    phase "the primary $PRIMARY_HOST has another database than this pod ($primary_system, here $(own_system)); the data here are kept untouched. Delete this pod's volume claim to let it copy the primary's"
    pause 10
    return 1
  fi
  local stuck=0
  [[ -e $VOLUME/.stuck ]] && stuck=$(<"$VOLUME/.stuck")
  if [[ -e $VOLUME/.rewinding ]] || ((stuck > 1)); then clone; return; fi
  ask_timeline || return 1
  if [[ -e $DATA_DIR/standby.signal && $(own_timeline) == "$primary_timeline" ]] && ((stuck == 0)); then return 0; fi
  if [[ ! -e $DATA_DIR/standby.signal || $(own_timeline) != "$primary_timeline" ]]; then
    rewind || { say "this did not succeed; the data are copied anew"; clone; }
  fi
}

become_replica() {
  local told=''
  # Already a replica: it can start at once, and will find the primary when there is one.
  until follow; do
    if [[ $(named_primary) == "$POD_NAME" ]] && has_data && [[ ! -e $VOLUME/.rewinding ]]; then
      phase "named the primary while waiting for one: starting as a replica, to be promoted"
      [[ -e $DATA_DIR/standby.signal ]] || as_postgres touch "$DATA_DIR/standby.signal"
      return
    fi
    # A former replica may well wait as a running one: it answers reads and can be promoted.
    if has_data && [[ -e $DATA_DIR/standby.signal && ! -e $VOLUME/.rewinding && ! -e $VOLUME/.stuck ]]; then
      ask_primary || { say "the primary does not answer yet"; return; }
    fi
    [[ -n $told ]] || phase "waiting for the primary $PRIMARY_HOST"
    told=1
    pause 0.3
  done
  reserve_slot
}

# Once it answers: the passwords of this cluster, and what the platform needs.
settle() {
  until "$BIN/pg_isready" -q -U postgres -h "$RUN" -p "$DB_PORT"; do sleep 0.2; done
  if [[ $(sql -c 'select pg_is_in_recovery()') == f ]]; then
    bash "$SCRIPTS/accounts.sh" || say "the accounts could not be set"
  fi
  rm -f "$PHASE"
  touch /tmp/sealos-settled
}

# A replica that gets no log although there is a primary is restarted, to rewind or to copy anew.
watch_stream() {
  local lost=0
  while pause 2; do
    case $(quick -c "select case when not pg_is_in_recovery() then 'primary' when exists (select from pg_stat_wal_receiver where status = 'streaming') then 'streaming' else 'lost' end" 2>/dev/null) in
      primary) return ;;
      streaming) lost=0; rm -f "$VOLUME/.stuck" ;;
      lost) if ask_primary; then lost=$((lost + 1)); else lost=0; fi ;;
    esac
    if ((lost >= 8)); then
      local stuck=0
      [[ -e $VOLUME/.stuck ]] && stuck=$(<"$VOLUME/.stuck")
      echo $((stuck + 1)) > "$VOLUME/.stuck"
      say "the primary answers, but sends no log: starting over"
      kill -s INT "$1"
      return
    fi
  done
}

rm -f /tmp/sealos-settled
prepare
if [[ $(named_primary) == "$POD_NAME" ]]; then
  await_restore
  [[ ! -e $VOLUME/.rewinding ]] || become_replica
  has_data || new_database
else
  become_replica
fi
check_version
bash "$SCRIPTS/configure.sh" || die "the configuration could not be written"
phase "starting"
# Without a shell between, so that signals reach it.
"${AS_POSTGRES[@]}" "$BIN/postgres" -D "$DATA_DIR" &
child=$!
[[ -z $stopping ]] || kill -s INT "$child"
settle &
[[ ! -e $DATA_DIR/standby.signal ]] || watch_stream "$child" &
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || break
done
exit "$code"
