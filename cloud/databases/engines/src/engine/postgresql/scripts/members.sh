#!/bin/bash
# members.sh ALL… -- SYNC…: keeps a slot for each replica, and names those whose acknowledgement counts.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
slots='' names='' after=''
for name in "$@"; do
  if [[ $name == -- ]]; then after=1; continue; fi
  [[ $name =~ ^[a-z0-9.-]+$ ]] || die "\`$name\` is no name of a pod"
  if [[ -z $after ]]; then
    slots+=${slots:+,}$(slot_name "$name")
  else
    names+=${names:+, }\"$name\"
  fi
done
[[ $(quick -c 'select pg_is_in_recovery()') == f ]] || die "this pod is not the primary"
quick -v slots="{$slots}" > /dev/null <<'SQL'
select pg_drop_replication_slot(slot_name) from pg_replication_slots
  where slot_type = 'physical' and not temporary and not active and slot_name <> all (:'slots'::text[]);
select pg_create_physical_replication_slot(name, true) from unnest(:'slots'::text[]) as name
  where not exists (select from pg_replication_slots where slot_name = name);
SQL
file=$DATA_DIR/sealos-members.conf
wanted=''
[[ $REPLICATION_MODE != sync || -z $names ]] || wanted="ANY 1 ($names)"
line="synchronous_standby_names = '$wanted'"
[[ $(cat "$file" 2>/dev/null) == "$line" ]] && exit 0
echo "$line" > "$file.new"
chown postgres:postgres "$file.new"
mv "$file.new" "$file"
quick -c 'select pg_reload_conf()' > /dev/null
