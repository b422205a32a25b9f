#!/bin/bash
# What the charts show.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
quick -f - <<'SQL'
select json_build_object(
  'connections', (select count(*) from pg_stat_activity where backend_type = 'client backend'),
  'activeConnections', (select count(*) from pg_stat_activity where backend_type = 'client backend' and state = 'active'),
  'maxConnections', current_setting('max_connections')::int,
  'transactions', sum(xact_commit + xact_rollback),
  'rollbacks', sum(xact_rollback),
  'cacheHits', sum(blks_hit),
  'cacheMisses', sum(blks_read),
  'rowsRead', sum(tup_returned + tup_fetched),
  'rowsWritten', sum(tup_inserted + tup_updated + tup_deleted),
  'deadlocks', sum(deadlocks),
  'temporaryBytes', sum(temp_bytes),
  'replicationLagSeconds', case when pg_is_in_recovery() and pg_last_wal_receive_lsn() is distinct from pg_last_wal_replay_lsn() then coalesce(extract(epoch from now() - pg_last_xact_replay_timestamp()), 0) else 0 end,
  'replicas', (select count(*) from pg_stat_replication where state = 'streaming'),
  'logBytes', (select coalesce(sum(size), 0) from pg_ls_waldir()),
  'storageBytes', (select sum(pg_database_size(oid)) from pg_database))
from pg_stat_database
SQL
