#!/bin/bash
# probe.sh ready|live
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
case ${1:-ready} in
  ready) [[ ! -e $PHASE ]] && quick -e 'select 1' > /dev/null 2>&1 ;;
  # Copying, recovering and waiting may take long and are no reason to start over.
  live) [[ -e $PHASE ]] || timeout 5 "$CLIENT" --defaults-extra-file="$(credentials)" -e 'select 1' > /dev/null 2>&1 ;;
  *) die "probe.sh takes \`ready\` or \`live\`" ;;
esac
