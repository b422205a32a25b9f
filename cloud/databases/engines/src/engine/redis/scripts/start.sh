#!/bin/bash
# Runs the server in the foreground: as the primary if the topology names this pod, else as a replica.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
trap 'exit 0' TERM INT
pause() { sleep "$1" & wait $!; }

mkdir -p "$DATA_DIR" "$RUN"
chown "$OWNER" "$RUN"
chown -R "$OWNER" "$DATA_DIR"
role=replica
[[ $(named_primary) != "$POD_NAME" ]] || role=primary

if [[ $role == primary && ${RESTORE:-} == 1 && ! -e $RESTORE_DIR/done ]] && [[ -d $RESTORE_DIR || ! -d $DATA_DIR/appendonlydir ]]; then
  echo waiting > "$PHASE"
  say "waiting for the data of a backup"
  mkdir -p "$RESTORE_DIR"
  touch "$RESTORE_DIR/waiting"
  while [[ ! -e $RESTORE_DIR/done ]]; do pause 0.2; done
  rm -f "$RESTORE_DIR/waiting"
fi
rm -f "$PHASE"
bash "$SCRIPTS/configure.sh" "$role" || die "the configuration could not be written"
say "starting as $role"
trap - TERM INT
cd "$DATA_DIR" || exit 1
exec setpriv --reuid="$OWNER" --regid="$OWNER" --init-groups -- "$SERVER" "$DATA_DIR/sealos.conf"
