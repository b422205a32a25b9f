#!/bin/bash
# shellcheck disable=SC2034 # those who read this use the names
# What the scripts of Redis share. The server may be Redis or Valkey.

: "${DATA_DIR:=/sealos/data/redis}" "${DB_PORT:=6379}" "${REPLICATION_MODE:=async}"
VOLUME=$(dirname "$DATA_DIR")
CONFIG=/sealos/config
TOPOLOGY=/sealos/topology
SCRIPTS=/sealos/scripts
RESTORE_DIR=$VOLUME/.restore
RUN=/run/sealos-redis
PHASE=/tmp/sealos-phase

say() { echo "sealos: $*" >&2; }
die() { say "$*"; exit 1; }

find_program() { command -v "valkey-$1" || command -v "redis-$1"; }
SERVER=$(find_program server) || die "this image has neither Redis nor Valkey"
CLI=$(find_program cli) || die "this image has no client of Redis"
CHECK=$(find_program check-rdb) || CHECK=''
OWNER=redis
id valkey > /dev/null 2>&1 && OWNER=valkey

as_owner() { setpriv --reuid="$OWNER" --regid="$OWNER" --init-groups -- "$@"; }

# The platform's own user: it does not change with the user's password, and may connect from this pod only
# as far as others do not know the password of the replicas.
export REDISCLI_AUTH=${REPLICATION_PASSWORD:-} VALKEYCLI_AUTH=${REPLICATION_PASSWORD:-}
cli() { "$CLI" --no-auth-warning --user sealos_platform -s "$RUN/socket" "$@"; }
quick() { timeout 2 "$CLI" --no-auth-warning --user sealos_platform -s "$RUN/socket" "$@"; }

named_primary() { cat "$TOPOLOGY/primary" 2>/dev/null || true; }

hash() { printf '%s' "$1" | sha256sum | cut -d ' ' -f 1; }

# A text in quotes, as the configuration takes it.
quoted() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "$text"
}

json_text() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  text=${text//$'\r'/}
  text=${text//$'\t'/\\t}
  printf '"%s"' "$text"
}

# Asks a running server whether an RDB file is whole.
check_rdb() {
  [[ $(head -c 5 "$1") == REDIS || $(head -c 6 "$1") == VALKEY ]] || return 1
  [[ -z $CHECK ]] || "$CHECK" "$1" > /tmp/sealos-check-rdb 2>&1
}
