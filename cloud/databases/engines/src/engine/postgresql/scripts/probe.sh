#!/bin/bash
# probe.sh ready|live
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
case ${1:-ready} in
  ready) [[ -e /tmp/sealos-settled ]] && pg_isready -q -U postgres -t 1 -h "$RUN" -p "$DB_PORT" ;;
  # Copying, recovering and waiting may take long and are no reason to start over.
  live) [[ -e $PHASE ]] && exit 0
    pg_isready -q -U postgres -t 5 -h "$RUN" -p "$DB_PORT"
    (($? <= 1)) ;;
  *) die "probe.sh takes \`ready\` or \`live\`" ;;
esac
