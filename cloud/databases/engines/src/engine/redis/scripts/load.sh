#!/bin/bash
# load.sh: takes over an RDB file (all data are replaced), or commands in the protocol's own form (added).
set -eu -o pipefail
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ $(cli role | head -n 1) == master ]] || die "this pod is not the primary"
file=$(mktemp "$VOLUME/.load.XXXXXX")
trap 'rm -f "$file"' EXIT
cat > "$file"
[[ -s $file ]] || die "the dump is empty"
if [[ $(head -c 1 "$file") == '*' ]]; then
  cli --pipe < "$file" >&2 || die "the server refused some of the commands"
  exit
fi
check_rdb "$file" || die "this is no dump of Redis: neither an RDB file nor commands of the protocol"
chown "$OWNER" "$file"
mv "$file" "$DATA_DIR/dump.rdb"
cli config set appendonly no > /dev/null
answer=$(cli debug reload nosave)
# Replicas have to copy anew, and what was read has to be in the log.
cli debug change-repl-id > /dev/null || true
cli client kill type replica > /dev/null || true
cli config set appendonly yes > /dev/null
rm -f "$DATA_DIR/dump.rdb"
[[ $answer == OK* ]] || die "the server could not load the dump: $answer"
