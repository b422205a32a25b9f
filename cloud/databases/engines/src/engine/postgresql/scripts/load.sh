#!/bin/bash
# load.sh [DATABASE]: reads a dump (SQL, perhaps compressed, or pg_dump's own format) from stdin.
set -eu -o pipefail
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
database=${1:-postgres}
head=$(mktemp)
trap 'rm -f "$head"' EXIT
head -c 65536 > "$head"
[[ -s $head ]] || die "the dump is empty"
whole() { cat "$head" -; }
magic=$(od -A n -t x1 -N 4 "$head" | tr -d ' \n')
case $magic in
  50474d44) format=own text='' ;;
  1f8b*) format=gzip text=$(gzip -dc < "$head" 2>/dev/null | tr -d '\0' | head -c 16384 || true) ;;
  28b52ffd) format=zstd text=$(zstd -dcq < "$head" 2>/dev/null | tr -d '\0' | head -c 16384 || true) ;;
  *) format=plain
    [[ $(tr -d '\0' < "$head" | wc -c) == $(wc -c < "$head") ]] || die "this is no dump of PostgreSQL: neither SQL nor pg_dump's own format"
    text=$(head -c 16384 "$head") ;;
esac
if [[ $format == own ]]; then
  whole | pg_restore -h "$RUN" -p "$DB_PORT" -U postgres --clean --if-exists --no-owner --exit-on-error --single-transaction -d "$database"
  exit
fi
shopt -s nocasematch
start='(^|'$'\n'')[[:space:]]*(--|/\*|\\|(create|insert|set|select|begin|copy|alter|drop|with|update|delete|truncate|grant|do)[[:space:]])'
[[ $text =~ $start ]] || die "this is no dump of PostgreSQL: it does not begin with SQL"
shopt -u nocasematch
# All or nothing, unless the dump goes from database to database by itself.
single=(--single-transaction)
[[ $text == *"database cluster dump"* || $text == *"\\connect "* || $text == *"CREATE DATABASE"* ]] && single=()
case $format in gzip) unpack=(gzip -dc) ;; zstd) unpack=(zstd -dcq) ;; *) unpack=(cat) ;; esac
whole | "${unpack[@]}" | sql "${single[@]}" -d "$database" > /dev/null
