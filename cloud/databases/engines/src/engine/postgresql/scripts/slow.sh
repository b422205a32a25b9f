#!/bin/bash
# The statements that took most, or those that run now.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
if [[ $(quick -c "select count(*) from pg_extension where extname = 'pg_stat_statements' and current_setting('shared_preload_libraries') like '%pg_stat_statements%'") == 1 ]]; then
  exec psql -X -q -A -t -h "$RUN" -p "$DB_PORT" -U postgres -c "
    select coalesce(json_agg(s), '[]') from (
      select left(query, 2000) as statement, datname as database, calls, round(total_exec_time::numeric, 2) as \"totalMilliseconds\",
        round(mean_exec_time::numeric, 2) as \"meanMilliseconds\", round(max_exec_time::numeric, 2) as \"maxMilliseconds\", rows
      from pg_stat_statements left join pg_database d on d.oid = dbid
      where query !~ 'pg_stat_statements' order by mean_exec_time desc limit 50) as s"
fi
quick -c "select coalesce(json_agg(s), '[]') from (
  select left(query, 2000) as statement, datname as database, 1 as calls,
    round(extract(epoch from now() - query_start) * 1000, 2) as \"totalMilliseconds\"
  from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() order by query_start limit 50) as s"
