#!/bin/bash
# What the charts show.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
js 10 <<'JS'
const s = db.serverStatus(), n = Number;
const cache = s.wiredTiger.cache;
const storage = db.adminCommand({listDatabases: 1}).totalSize;
const status = db.adminCommand({replSetGetStatus: 1});
const me = status.members.find((m) => m.self), primary = status.members.find((m) => m.state === 1);
print(JSON.stringify({
  connections: n(s.connections.current), maxConnections: n(s.connections.current) + n(s.connections.available),
  transactions: n(s.opcounters.insert) + n(s.opcounters.update) + n(s.opcounters.delete), queries: n(s.opcounters.query) + n(s.opcounters.command),
  cacheHits: n(cache['pages requested from the cache']) - n(cache['pages read into cache']), cacheMisses: n(cache['pages read into cache']),
  memoryBytes: n(s.mem.resident) * 1048576, storageBytes: n(storage),
  replicationLagSeconds: me.state === 1 || !primary ? 0 : Math.max(0, (primary.optimeDate - me.optimeDate) / 1000),
}));
JS
