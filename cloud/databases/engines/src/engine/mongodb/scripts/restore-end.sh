#!/bin/bash
# restore-end.sh: reads the archive with a server that nobody else reaches.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ ! -e $RESTORE_DIR/done ]] || exit 0
[[ -s $RESTORE_DIR/archive ]] || die "there is no archive to restore from"
[[ -z ${1:-} ]] || die "archives have no points in time between them; restore without a time"
rm -rf "$DATA_DIR"
install -d -o mongodb -g mongodb "$DATA_DIR"
log=$RESTORE_DIR/restore.log
"${AS_MONGODB[@]}" "$SERVER" --bind_ip 127.0.0.1 --port 27099 --dbpath "$DATA_DIR" > "$log" 2>&1 < /dev/null &
server=$!
until timeout 1 bash -c 'exec 3<> /dev/tcp/127.0.0.1/27099' 2> /dev/null; do
  kill -0 "$server" 2> /dev/null || die "the server did not start: $(tail -n 1 "$log")"
  sleep 0.2
done
# Users are those of this cluster.
mongorestore --quiet --host 127.0.0.1 --port 27099 --archive="$RESTORE_DIR/archive" --oplogReplay --stopOnError \
  --nsExclude 'admin.system.*' --nsExclude 'config.*' >&2 || die "the backup is damaged: the archive could not be read to its end"
kill -s TERM "$server"
wait "$server" || true
rm -f "$RESTORE_DIR/archive"
sync -f "$VOLUME"
touch "$RESTORE_DIR/done"
sync -f "$VOLUME"
