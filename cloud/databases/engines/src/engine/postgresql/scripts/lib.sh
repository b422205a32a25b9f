#!/bin/bash
# shellcheck disable=SC2034 # those who read this use the names
# What the scripts of PostgreSQL share. Works in the upstream images and in Debian's layout.

: "${DATA_DIR:=/sealos/data/pgdata}" "${DB_PORT:=5432}" "${DB_USER:=postgres}" "${REPLICATION_MODE:=async}"
VOLUME=$(dirname "$DATA_DIR")
CONFIG=/sealos/config
TOPOLOGY=/sealos/topology
SCRIPTS=/sealos/scripts
SPOOL=$VOLUME/.spool/wal
RESTORE_DIR=$VOLUME/.restore
RUN=/var/run/postgresql
REPLICATION_USER=sealos_replication
# What the engine is busy with before it answers: `probe.sh live` is content with it.
PHASE=/tmp/sealos-phase

say() { echo "sealos: $*" >&2; }
die() { say "$*"; exit 1; }

# The programs of one major version: that of the data where there are data.
bin_dir() {
  local want='' dir
  [[ -s $DATA_DIR/PG_VERSION ]] && want=$(<"$DATA_DIR/PG_VERSION")
  if [[ -n $want && -x /usr/lib/postgresql/$want/bin/postgres ]]; then
    echo "/usr/lib/postgresql/$want/bin"
    return
  fi
  for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -Vr) /usr/local/bin /usr/bin; do
    if [[ -x $dir/postgres ]]; then
      echo "$dir"
      return
    fi
  done
  return 1
}

BIN=$(bin_dir) || die "this image has no PostgreSQL server"
export PATH="$BIN:$PATH" LC_ALL=C.UTF-8 PGTZ=UTC
unset PGHOST PGUSER PGDATABASE PGPASSWORD PGDATA

AS_POSTGRES=(setpriv --reuid=postgres --regid=postgres --init-groups --)
as_postgres() { "${AS_POSTGRES[@]}" "$@"; }

# What the platform asks is nobody's slow statement, and passwords must not be noted.
UNTRACKED='-c pg_stat_statements.track=none'
unset PGOPTIONS

# One statement or a script to the server of this pod, over the socket, as the superuser.
sql() { PGOPTIONS="${PGOPTIONS:-$UNTRACKED}" psql -X -q -A -t -v ON_ERROR_STOP=1 -h "$RUN" -p "$DB_PORT" -U postgres "$@"; }

# The same with limits, for what is asked often.
quick() { PGCONNECT_TIMEOUT=2 PGOPTIONS="$UNTRACKED -c statement_timeout=1500" sql "$@"; }

named_primary() { cat "$TOPOLOGY/primary" 2>/dev/null || true; }

# A name for a replication slot: pods have dashes, slots must not.
slot_name() { printf '%s' "${1//[^a-z0-9_]/_}"; }

# The password file for connections to the primary.
password_file() {
  export PGPASSFILE=$VOLUME/.pgpass
  local escaped=${REPLICATION_PASSWORD:-}
  escaped=${escaped//\\/\\\\}
  escaped=${escaped//:/\\:}
  (umask 077 && printf '*:*:*:%s:%s\n' "$REPLICATION_USER" "$escaped" > "$PGPASSFILE.new")
  chown postgres:postgres "$PGPASSFILE.new"
  mv "$PGPASSFILE.new" "$PGPASSFILE"
}

# How the primary is reached. The name is that of a Service, so it leads to whoever is the primary.
primary_conninfo() {
  printf 'host=%s port=%s user=%s passfile=%s application_name=%s connect_timeout=2 keepalives_idle=3 keepalives_interval=2 keepalives_count=2 sslmode=prefer' \
    "$PRIMARY_HOST" "$DB_PORT" "$REPLICATION_USER" "$VOLUME/.pgpass" "$POD_NAME"
}

at_primary() { timeout 20 psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$(primary_conninfo) dbname=postgres" "$@"; }

mebibytes() {
  local value=$1 least=$2 most=$3
  ((value < least)) && value=$least
  ((value > most)) && value=$most
  echo "$value"
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
