#!/bin/bash
# Runs the server in the foreground. The named primary makes the set; the others wait to be taken in.
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

mkdir -p "$DATA_DIR" "$RUN"
rm -f "$RUN"/*.js "$RUN/tools.yaml"
chown -R mongodb:mongodb "$DATA_DIR"
if [[ $(named_primary) == "$POD_NAME" && ${RESTORE:-} == 1 && ! -e $RESTORE_DIR/done ]] && [[ -d $RESTORE_DIR || ! -e $DATA_DIR/WiredTiger ]]; then
  phase "waiting for the data of a backup"
  mkdir -p "$RESTORE_DIR"
  touch "$RESTORE_DIR/waiting"
  while [[ ! -e $RESTORE_DIR/done ]]; do pause 0.2; done
  rm -f "$RESTORE_DIR/waiting"
fi

(umask 077 && printf '%s' "$REPLICATION_PASSWORD" | sha256sum | cut -d ' ' -f 1 > "$RUN/key")
chown mongodb:mongodb "$RUN/key"
memory=$((${MEMORY_LIMIT:-1073741824} >> 20))
cache=$(awk -v m="$memory" 'BEGIN { c = (m / 1024 - 0.5) / 2; print (c < 0.25 ? 0.25 : c) }')
options=(--replSet "$CLUSTER" --bind_ip_all --port "$DB_PORT" --dbpath "$DATA_DIR" --keyFile "$RUN/key" --auth)
connections=''
while IFS='=' read -r name value; do
  case $name in
    '') ;;
    wiredTigerCacheSizeGB) cache=$value ;;
    maxIncomingConnections) connections=$value ;;
    slowMS) options+=(--slowms "$value") ;;
    *) options+=(--setParameter "$name=$value") ;;
  esac
done < <(cat "$CONFIG/parameters.conf" 2>/dev/null)
options+=(--wiredTigerCacheSizeGB "$cache")
[[ -z $connections ]] || options+=(--maxConns "$connections")

# The set and the users, made once over the exception for this machine while there are no users.
settle() {
  export SEALOS_ANONYMOUS=1
  until js 5 <<< "db.hello()" > /dev/null 2>&1; do sleep 0.5; done
  if [[ $(named_primary) == "$POD_NAME" ]]; then
    SET=$CLUSTER HOST=$(host_of "$POD_NAME") js 60 <<'JS' > /dev/null 2>&1 || true
if (!db.hello().setName) rs.initiate({_id: process.env.SET, members: [{_id: 0, host: process.env.HOST}]});
while (!db.hello().isWritablePrimary) sleep(100);
JS
    js 60 <<'JS' > /dev/null 2>&1 || true
while (!db.hello().isWritablePrimary) sleep(100);
db.createUser({user: 'sealos_platform', pwd: process.env.REPLICATION_PASSWORD, roles: ['root', '__system']});
JS
    unset SEALOS_ANONYMOUS
    js 60 <<'JS' > /dev/null || say "the accounts could not be set"
const user = process.env.DB_USER, pwd = process.env.DB_PASSWORD;
if (db.getUser(user)) db.changeUserPassword(user, pwd);
else db.createUser({user, pwd, roles: ['root']});
JS
  fi
  rm -f "$PHASE"
}

phase "starting"
"${AS_MONGODB[@]}" "$SERVER" "${options[@]}" &
child=$!
[[ -z $stopping ]] || kill -s TERM "$child"
settle &
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || break
done
exit "$code"
