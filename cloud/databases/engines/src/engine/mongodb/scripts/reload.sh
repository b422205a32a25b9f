#!/bin/bash
# Takes over the parameters that need no restart.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
PARAMETERS=$(cat "$CONFIG/parameters.conf" 2>/dev/null || true) js 30 <<'JS'
const wrong = [];
for (const line of process.env.PARAMETERS.split('\n').filter(Boolean)) {
  const [name, value] = line.split('=');
  if (['wiredTigerCacheSizeGB', 'maxIncomingConnections'].includes(name)) continue;
  try {
    if (name === 'slowMS') db.setProfilingLevel(0, Number(value));
    else db.adminCommand({setParameter: 1, [name]: name === 'notablescan' ? value === '1' : Number(value)});
  } catch (error) { wrong.push(`${name}: ${error.message}`); }
}
if (wrong.length) { print(wrong.join('. ')); quit(1); }
JS
