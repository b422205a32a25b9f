#!/bin/bash
# Says what this server is. Positions are times of the oplog with their counters.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
js 5 <<'JS'
const status = db.adminCommand({replSetGetStatus: 1});
if (!status.ok) quit(1);
const me = status.members.find((m) => m.self), primary = status.members.find((m) => m.state === 1);
const at = (m) => BigInt(m.optime.ts.getHighBits()) * 1000000n + BigInt(m.optime.ts.getLowBits());
const leads = me.state === 1;
print(JSON.stringify({
  role: leads ? 'primary' : 'secondary',
  position: at(me).toString(),
  lagBytes: 0,
  lagSeconds: leads || !primary ? 0 : Math.max(0, (primary.optimeDate - me.optimeDate) / 1000),
  readOnly: !leads,
  replicas: status.members.filter((m) => m.state === 2).length,
}));
JS
