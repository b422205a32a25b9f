#!/bin/bash
# probe.sh ready|live
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
case ${1:-ready} in
  # Opening the port is enough; mongosh is too slow to be asked every second.
  ready) [[ ! -e $PHASE ]] && timeout 2 bash -c "exec 3<> /dev/tcp/127.0.0.1/$DB_PORT" 2> /dev/null ;;
  live) [[ -e $PHASE ]] || timeout 5 bash -c "exec 3<> /dev/tcp/127.0.0.1/$DB_PORT" 2> /dev/null ;;
  *) die "probe.sh takes \`ready\` or \`live\`" ;;
esac
