#!/bin/bash
# load.sh [DATABASE]: reads an archive of mongodump from stdin; collections of the same names are replaced.
set -eu -o pipefail
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
tool_options
head=$(mktemp)
trap 'rm -f "$head"' EXIT
head -c 4 > "$head"
[[ -s $head ]] || die "the dump is empty"
compressed=()
case $(od -A n -t x1 "$head" | tr -d ' \n') in
  6de29981) ;;
  1f8b*) compressed=(--gzip) ;;
  *) die "this is no dump of MongoDB: an archive of \`mongodump --archive\` is wanted" ;;
esac
cat "$head" - | mongorestore "${TOOL_OPTIONS[@]}" --archive "${compressed[@]}" --drop --stopOnError \
  --nsExclude 'admin.system.*' ${1:+--nsInclude "$1.*"}
