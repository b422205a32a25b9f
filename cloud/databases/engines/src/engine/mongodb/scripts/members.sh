#!/bin/bash
# members.sh ALL… -- SYNC…: takes replicas in and drops those that are gone; sets the default write concern.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
hosts=$(host_of "$POD_NAME") counting=0 after=''
for name in "$@"; do
  if [[ $name == -- ]]; then
    after=1
  elif [[ -z $after ]]; then
    hosts+=,$(host_of "$name")
  else
    counting=$((counting + 1))
  fi
done
[[ $REPLICATION_MODE == sync ]] || counting=0
HOSTS=$hosts COUNTING=$counting js 30 <<'JS' > /dev/null
const hosts = process.env.HOSTS.split(',');
const config = db.adminCommand({replSetGetConfig: 1}).config;
const known = config.members.map((m) => m.host);
if (known.length !== hosts.length || hosts.some((h) => !known.includes(h))) {
  config.members = config.members.filter((m) => hosts.includes(m.host));
  let next = Math.max(...config.members.map((m) => m._id)) + 1;
  for (const host of hosts) if (!known.includes(host)) config.members.push({_id: next++, host, priority: 0, votes: 0});
  config.version += 1;
  const done = db.adminCommand({replSetReconfig: config});
  if (!done.ok) { print(done.errmsg); quit(1); }
}
const w = process.env.COUNTING === '0' ? 1 : 2;
const set = db.adminCommand({getDefaultRWConcern: 1}).defaultWriteConcern;
if (!set || set.w !== w) db.adminCommand({setDefaultRWConcern: 1, defaultWriteConcern: {w, wtimeout: 0}, writeConcern: {w: 1}});
JS
