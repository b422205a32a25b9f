#!/bin/bash
# shellcheck disable=SC2034 # those who read this use the names
# What the scripts of MongoDB share. Written for the upstream images.
#
# The set's own elections are not used: exactly one member has a vote, the one that the platform named. So
# there is one mind about who leads, and a single member goes on alone.

: "${DATA_DIR:=/sealos/data/mongodb}" "${DB_PORT:=27017}" "${DB_USER:=root}" "${REPLICATION_MODE:=async}"
VOLUME=$(dirname "$DATA_DIR")
CONFIG=/sealos/config
TOPOLOGY=/sealos/topology
SCRIPTS=/sealos/scripts
RESTORE_DIR=$VOLUME/.restore
RUN=/run/sealos-mongodb
PHASE=/tmp/sealos-phase

say() { echo "sealos: $*" >&2; }
die() { say "$*"; exit 1; }

SERVER=$(command -v mongod) || die "this image has no MongoDB server"
SHELL_PROGRAM=$(command -v mongosh) || die "this image has no mongosh"
AS_MONGODB=(setpriv --reuid=mongodb --regid=mongodb --init-groups --)

# The name by which members of the set know a pod.
host_of() { printf '%s.%s-%s-headless.%s.svc:%s' "$1" "$CLUSTER" "$COMPONENT" "$POD_NAMESPACE" "$DB_PORT"; }

named_primary() { cat "$TOPOLOGY/primary" 2>/dev/null || true; }

# Runs JavaScript from stdin as the platform's user. Passwords go by the environment, never by arguments.
js() { # [SECONDS]
  local script
  mkdir -p "$RUN"
  script=$(mktemp "$RUN/XXXXXX.js")
  {
    cat <<'JS'
db = connect(`mongodb://127.0.0.1:${process.env.DB_PORT}/admin?directConnection=true&serverSelectionTimeoutMS=2000`);
if (process.env.SEALOS_ANONYMOUS !== '1') db.auth('sealos_platform', process.env.REPLICATION_PASSWORD);
JS
    cat
  } > "$script"
  DB_PORT=$DB_PORT timeout "${1:-30}" "$SHELL_PROGRAM" --nodb --norc --quiet --file "$script"
  local code=$?
  rm -f "$script"
  return "$code"
}

# A file with the password for MongoDB's tools.
tool_options() {
  mkdir -p "$RUN"
  local escaped=${REPLICATION_PASSWORD//\\/\\\\}
  escaped=${escaped//\"/\\\"}
  [[ -e $RUN/tools.yaml ]] || (umask 077 && printf 'password: "%s"\n' "$escaped" > "$RUN/tools.yaml")
  TOOL_OPTIONS=(--quiet --config "$RUN/tools.yaml" --host 127.0.0.1 --port "$DB_PORT" --username sealos_platform --authenticationDatabase admin)
}

json_text() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  printf '"%s"' "$text"
}
