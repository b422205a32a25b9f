#!/bin/bash
# archive_command: copies a finished segment to where log-list.sh finds it. $1 is its path, $2 its name.
# The spool is bounded: when it is full, or the volume nearly so, the oldest segments go, and with them
# the points in time between; the database never stops for its archive.
set -eu
[[ $(cat /sealos/config/archive 2>/dev/null) == on ]] || exit 0
volume=$(dirname "${DATA_DIR:-/sealos/data/pgdata}")
spool=$volume/.spool/wal
mkdir -p "$spool"
if [[ -e $spool/$2 ]]; then
  cmp -s "$1" "$spool/$2" && exit 0
fi

read -r size free < <(df -Pk "$volume" | awk 'NR == 2 {print $2, $4}')
limit=$((size / 4))
# A replica keeps a little, in case that the primary dies before its segments were taken away.
[[ ! -e ${DATA_DIR:-/sealos/data/pgdata}/standby.signal ]] || limit=$((size / 20 < 524288 ? size / 20 : 524288))
used=$(du -sk "$spool" | cut -f 1)
for old in "$spool"/*; do
  ((used + 16384 > limit || free < size / 10)) || break
  [[ -f $old && $old != *.history ]] || continue
  [[ -e ${DATA_DIR:-/sealos/data/pgdata}/standby.signal ]] ||
    echo "sealos: the volume has no room for segments that wait to be taken away; ${old##*/} is dropped, and points in time between the last backup and now are lost" >&2
  kib=$(du -k "$old" | cut -f 1)
  rm -f "$old"
  used=$((used - kib)) free=$((free + kib))
done

temporary=$volume/.spool/$2.$$
trap 'rm -f "$temporary"' EXIT
cp "$1" "$temporary"
sync "$temporary"
mv "$temporary" "$spool/$2"
sync "$spool"
