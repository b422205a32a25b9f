#!/bin/bash
# load.sh [DATABASE]: reads SQL, perhaps compressed, from stdin.
set -eu -o pipefail
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
head=$(mktemp)
trap 'rm -f "$head"' EXIT
head -c 65536 > "$head"
[[ -s $head ]] || die "the dump is empty"
unpack=(cat)
case $(od -A n -t x1 -N 4 "$head" | tr -d ' \n') in
  1f8b*) unpack=(gzip -dc) ;;
  28b52ffd) unpack=(zstd -dcq) ;;
  *) [[ $(tr -d '\0' < "$head" | wc -c) == $(wc -c < "$head") ]] || die "this is no dump of MySQL: it is not SQL" ;;
esac
text=$("${unpack[@]}" < "$head" 2>/dev/null | tr -d '\0' | head -c 16384 || true)
shopt -s nocasematch
start='(^|'$'\n'')[[:space:]]*(--|/\*|(create|insert|set|select|start|begin|alter|drop|use|update|delete|truncate|replace|lock|grant)[[:space:]])'
[[ $text =~ $start ]] || die "this is no dump of MySQL: it does not begin with SQL"
shopt -u nocasematch
if [[ -n ${1:-} ]]; then
  name=${1//\`/\`\`}
  sql -e "create database if not exists \`$name\`"
  cat "$head" - | "${unpack[@]}" | sql --binary-mode -D "$1"
else
  cat "$head" - | "${unpack[@]}" | sql --binary-mode
fi
