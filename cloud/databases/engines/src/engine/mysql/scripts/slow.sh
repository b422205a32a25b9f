#!/bin/bash
# The slow statements that the server noted.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
rows=$(sql --raw -e "select json_object('statement', left(convert(sql_text using utf8mb4), 2000), 'database', db, 'calls', count(*),
    'totalMilliseconds', round(sum(time_to_sec(query_time) + microsecond(query_time) / 1e6) * 1000),
    'maxMilliseconds', round(max(time_to_sec(query_time) + microsecond(query_time) / 1e6) * 1000), 'rows', sum(rows_sent))
  from mysql.slow_log where user_host not like '$PLATFORM_USER%' group by sql_text, db order by max(query_time) desc limit 50") || exit 1
printf '[%s]\n' "$(paste -sd , <<< "$rows")"
# The table is a plain file; it must not grow for ever.
[[ $(sql -e 'select count(*) > 20000 from mysql.slow_log') != 1 ]] || sql -e 'truncate mysql.slow_log'
