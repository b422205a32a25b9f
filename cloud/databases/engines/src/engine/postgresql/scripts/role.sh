#!/bin/bash
# Says what this server is. Positions are bytes of log.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
quick -f - <<'SQL'
select json_build_object(
  'role', case when r then 'secondary' else 'primary' end,
  'position', position::text,
  'lagBytes', case when r then greatest(0, coalesce((select pg_wal_lsn_diff(latest_end_lsn, '0/0') from pg_stat_wal_receiver), position) - replayed) else 0 end,
  'lagSeconds', case when not r or replayed >= position then 0 else coalesce(extract(epoch from now() - pg_last_xact_replay_timestamp()), 0) end,
  'readOnly', r or current_setting('default_transaction_read_only') = 'on',
  'replicas', (select count(*) from pg_stat_replication where state = 'streaming'))
from (select r,
    case when r then greatest(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0'), pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'))
         else pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0') end as position,
    case when r then coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'), 0) else 0 end as replayed
  from (select pg_is_in_recovery() as r) as state) as facts
SQL
