#!/bin/bash
# probe.sh ready|live
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
case ${1:-ready} in
  ready) [[ $(quick ping 2> /dev/null) == PONG ]] ;;
  # One that loads its data says so, and lives.
  live) [[ -e $PHASE ]] && exit 0
    answer=$(timeout 5 "$CLI" --no-auth-warning --user sealos_platform -s "$RUN/socket" ping 2>&1)
    [[ $answer == PONG* || $answer == *LOADING* || $answer == *MASTERDOWN* ]] ;;
  *) die "probe.sh takes \`ready\` or \`live\`" ;;
esac
