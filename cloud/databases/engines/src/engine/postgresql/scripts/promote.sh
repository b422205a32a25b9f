#!/bin/bash
# Makes this replica the primary.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ $(sql -c 'select pg_is_in_recovery()') == t ]] || exit 0
# Slots for those that may follow, so that they need not wait for members.sh; without data they hold no log.
for ordinal in 0 1 2 3 4; do
  [[ $POD_NAME == "${POD_NAME%-*}-$ordinal" ]] && continue
  slot=$(slot_name "${POD_NAME%-*}-$ordinal")
  echo "select pg_create_physical_replication_slot('$slot') where not exists (select from pg_replication_slots where slot_name = '$slot');"
done | sql > /dev/null || say "slots for replicas could not be made"
[[ $(sql -c 'select pg_promote(true, 60)') == t ]] || die "the promotion did not end within 60 s"
# Makes the new history known to pg_rewind; nobody waits for it.
(sql -c checkpoint > /dev/null 2>&1 < /dev/null &)
