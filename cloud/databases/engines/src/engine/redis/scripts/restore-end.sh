#!/bin/bash
# restore-end.sh: turns the snapshot into the server's own files, with a server that nobody else reaches.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ ! -e $RESTORE_DIR/done ]] || exit 0
[[ -s $DATA_DIR/dump.rdb ]] || die "there is no snapshot to restore from"
[[ -z ${1:-} ]] || die "snapshots have no points in time between them; restore without a time"
rm -rf "$DATA_DIR/appendonlydir"
socket=$RUN/restore
log=$RESTORE_DIR/restore.log
local_cli() { env -u REDISCLI_AUTH -u VALKEYCLI_AUTH "$CLI" -s "$socket" "$@"; }
: > "$log"
# With a log switched on, the server would start empty and not look at the snapshot.
(cd "$DATA_DIR" && as_owner "$SERVER" --port 0 --unixsocket "$socket" --dir "$DATA_DIR" --save '' --appendonly no > "$log" 2>&1 < /dev/null) &
server=$!
until [[ $(local_cli ping 2> /dev/null) == PONG ]]; do
  kill -0 "$server" 2> /dev/null || die "the snapshot could not be loaded: $(tail -n 1 "$log")"
  sleep 0.1
done
field() { local_cli info persistence | tr -d '\r' | sed -n "s/^$1://p"; }
local_cli config set appendonly yes > /dev/null
while sleep 0.1; do
  [[ $(field aof_enabled) == 1 && $(field aof_rewrite_in_progress) == 0 && $(field aof_rewrite_scheduled) == 0 ]] || continue
  [[ $(field aof_last_bgrewrite_status) == ok ]] || die "the log could not be written: $(tail -n 1 "$log")"
  break
done
local_cli shutdown nosave > /dev/null 2>&1 || true
wait "$server" || true
[[ -d $DATA_DIR/appendonlydir ]] || die "the log was not written"
rm -f "$DATA_DIR/dump.rdb"
sync -f "$VOLUME"
touch "$RESTORE_DIR/done"
sync -f "$VOLUME"
