#!/bin/bash
# shellcheck disable=SC2034 # those who read this use the names
# What the scripts of MySQL and MariaDB share. The server may be either.

: "${DATA_DIR:=/sealos/data/mysql}" "${DB_PORT:=3306}" "${DB_USER:=root}" "${REPLICATION_MODE:=async}"
VOLUME=$(dirname "$DATA_DIR")
CONFIG=/sealos/config
TOPOLOGY=/sealos/topology
SCRIPTS=/sealos/scripts
RESTORE_DIR=$VOLUME/.restore
SPOOL=$VOLUME/.spool/binlog
RUN=/run/sealos-mysql
SOCKET=$RUN/socket
PHASE=/tmp/sealos-phase
REPLICATION_USER=sealos_replication
PLATFORM_USER=sealos_platform

say() { echo "sealos: $*" >&2; }
die() { say "$*"; exit 1; }

if SERVER=$(command -v mariadbd); then
  FLAVOUR=mariadb
elif SERVER=$(command -v mysqld); then
  FLAVOUR=mysql
else
  die "this image has neither MySQL nor MariaDB"
fi
tool() { command -v "mariadb$1" || command -v "mysql$1" || command -v "mysql${1#-}"; }
CLIENT=$(tool '') || die "this image has no client of MySQL"
DUMP=$(tool -dump) || DUMP=''
BINLOG=$(tool -binlog) || BINLOG=''
BACKUP=$(command -v mariadb-backup) || BACKUP=''
# The words that one has given up and the other not.
if [[ $FLAVOUR == mysql ]]; then
  REPLICA=REPLICA
else
  REPLICA=SLAVE
fi

AS_MYSQL=(setpriv --reuid=mysql --regid=mysql --init-groups --)
as_mysql() { "${AS_MYSQL[@]}" "$@"; }

# A text as SQL has it.
sql_text() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\'/\\\'}
  printf "'%s'" "$text"
}

# A text as option files have it.
option_text() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "$text"
}

# The platform's own user comes by the socket only; the password is in a file for root.
credentials() {
  local file=$RUN/client.cnf
  [[ -e $file ]] || (
    umask 077
    mkdir -p "$RUN"
    printf '[client]\nuser=%s\npassword=%s\nsocket=%s\n' "$PLATFORM_USER" "$(option_text "$REPLICATION_PASSWORD")" "$SOCKET" > "$file.$$"
    mv "$file.$$" "$file"
  )
  echo "$file"
}
sql() { "$CLIENT" --defaults-extra-file="$(credentials)" --default-character-set=utf8mb4 -N -B "$@"; }
quick() { timeout 3 "$CLIENT" --defaults-extra-file="$(credentials)" --connect-timeout=2 -N -B "$@"; }

# The same at the primary, as the replicas' user.
primary_credentials() {
  local file=$RUN/primary.cnf
  (
    umask 077
    printf '[client]\nuser=%s\npassword=%s\nhost=%s\nport=%s\nprotocol=tcp\n' "$REPLICATION_USER" "$(option_text "$REPLICATION_PASSWORD")" "$PRIMARY_HOST" "$DB_PORT" > "$file.$$"
    mv "$file.$$" "$file"
  )
  echo "$file"
}
at_primary() { timeout 10 "$CLIENT" --defaults-extra-file="$(primary_credentials)" --connect-timeout=3 -N -B "$@"; }

# One field of the replication state; nothing where this is no replica.
replica_field() { # STATUS NAME [OLD NAME]
  sed -n "s/^ *\($2\|${3:-$2}\): //p" <<< "$1" | head -n 1
}

named_primary() { cat "$TOPOLOGY/primary" 2>/dev/null || true; }

json_text() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  text=${text//$'\r'/}
  text=${text//$'\t'/\\t}
  printf '"%s"' "$text"
}

clamp() {
  local value=$1 least=$2 most=$3
  ((value < least)) && value=$least
  ((value > most)) && value=$most
  echo "$value"
}

# The name of a binary log for the archive: when it began, whose it is, its number. Sorts by time.
segment_name() {
  local began
  began=$(od -A n -t u4 -j 4 -N 4 "$1" | tr -d ' ')
  printf '%010d-%s-%s' "$began" "$((${POD_NAME##*-} + 1))" "${1##*.}"
}

# A server that nobody else reaches: for copying and restoring. Sets `private`.
start_private() { # DIRECTORY LOG
  PRIVATE_SOCKET=$RUN/private
  # Without a shell between, so that signals reach it.
  "${AS_MYSQL[@]}" "$SERVER" --no-defaults --datadir="$1" --socket="$PRIVATE_SOCKET" --pid-file="$RUN/private.pid" \
    --skip-networking --skip-log-bin --skip-slave-start --skip-grant-tables --innodb-buffer-pool-size=128M \
    --max-allowed-packet=1G --character-set-server=utf8mb4 > "$2" 2>&1 < /dev/null &
  private=$!
  until private_sql -e 'select 1' > /dev/null 2>&1; do
    kill -0 "$private" 2> /dev/null || return 1
    sleep 0.1
  done
}
private_sql() { "$CLIENT" --no-defaults --socket="$PRIVATE_SOCKET" --default-character-set=utf8mb4 --max-allowed-packet=1G -N -B "$@"; }
stop_private() {
  kill "$private" 2> /dev/null
  wait "$private"
}

# The statements that make the accounts of this cluster, one a line.
account_statements() {
  local user host
  echo "set sql_log_bin = 0;"
  for user in "$DB_USER@%" "$REPLICATION_USER@%" "$PLATFORM_USER@localhost"; do
    host=${user#*@} user=${user%@*}
    local secret=$REPLICATION_PASSWORD
    [[ $user != "$DB_USER" ]] || secret=$DB_PASSWORD
    echo "create user if not exists '$user'@'$host' identified by $(sql_text "$secret");"
    echo "alter user '$user'@'$host' identified by $(sql_text "$secret");"
    echo "grant all privileges on *.* to '$user'@'$host' with grant option;"
  done
  # Nobody but the platform writes to a replica.
  if [[ $FLAVOUR == mariadb && ! $("$SERVER" --version) =~ \ 10\.[0-9]\. ]]; then
    echo "revoke read only admin on *.* from '$DB_USER'@'%';"
  fi
  echo "flush privileges;"
}
