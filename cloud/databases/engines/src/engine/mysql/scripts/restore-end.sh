#!/bin/bash
# restore-end.sh [TIME]: applies the binary logs up to TIME, to the second, or to their end.
set -eu -o pipefail
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ ! -e $RESTORE_DIR/done ]] || exit 0
log=$RESTORE_DIR/restore.log
if [[ -e $RESTORE_DIR/base.sql ]]; then
  rm -rf "$DATA_DIR"
  install -d -o mysql -g mysql "$DATA_DIR"
  if [[ $FLAVOUR == mariadb ]]; then
    mariadb-install-db --no-defaults --user=mysql --datadir="$DATA_DIR" --skip-test-db --auth-root-authentication-method=socket > "$log" 2>&1
  else
    as_mysql "$SERVER" --no-defaults --initialize-insecure --datadir="$DATA_DIR" > "$log" 2>&1
  fi || die "the new database could not be made: $(tail -n 2 "$log")"
fi
[[ -d $DATA_DIR/mysql ]] || die "there is no base backup to restore from"
start_private "$DATA_DIR" "$log" || die "the backup could not be started: $(grep -i error "$log" | tail -n 1)"
[[ ! -e $RESTORE_DIR/base.sql ]] || private_sql < "$RESTORE_DIR/base.sql" || die "the dump could not be read"
segments=("$RESTORE_DIR"/log/*)
if [[ -e ${segments[0]} ]]; then
  options=(--no-defaults)
  position=$(cat "$RESTORE_DIR/position" 2>/dev/null || true)
  if [[ $FLAVOUR == mariadb ]]; then
    # What the base has already is skipped by its position.
    options+=(--skip-gtid-strict-mode)
    [[ -z $position ]] || options+=(--start-position="$position")
  fi
  if [[ -n ${1:-} ]]; then
    seconds=$(date -u -d "$1" +%s) || die "\`$1\` is no time; write for example 2026-11-24T16:00:01Z"
    [[ $(date -u -d "$1" +%N) == 000000000 ]] || seconds=$((seconds + 1))
    options+=(--stop-datetime="$(date -u -d "@$seconds" '+%Y-%m-%d %H:%M:%S')")
  fi
  TZ=UTC "$BINLOG" "${options[@]}" "${segments[@]}" 2> "$RESTORE_DIR/binlog.log" | private_sql --binary-mode ||
    die "the binary logs could not be applied: $(tail -n 1 "$RESTORE_DIR/binlog.log")"
fi
{
  echo "flush privileges;"
  account_statements
} | private_sql || die "the accounts could not be set"
stop_private || die "the restored server did not stop cleanly"
# The new database has a history of its own.
rm -f "$DATA_DIR"/binlog.* "$DATA_DIR"/relay* "$DATA_DIR"/master.info "$DATA_DIR"/*_binlog_info
sync -f "$VOLUME"
touch "$RESTORE_DIR/done"
sync -f "$VOLUME"
