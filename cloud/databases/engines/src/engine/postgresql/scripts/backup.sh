#!/bin/bash
# A physical backup with the log it needs, as one tar stream.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
# Log that the backup needs at its end stays until then.
coproc hold { sql; }
slot="sealos_backup_$$"
echo "select 'held' from pg_create_physical_replication_slot('$slot', true, true);" >&"${hold[1]}"
read -r -t 10 answer <&"${hold[0]}"
[[ ${answer:-} == held ]] || die "no slot for the backup could be made"
pg_basebackup -h "$RUN" -p "$DB_PORT" -U postgres -D - -F tar -X fetch --checkpoint=fast --manifest-checksums=CRC32C
