#!/bin/bash
# Reads every table of every database, which verifies the checksums of all pages, and checks indexes.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
databases=$(sql -c "select datname from pg_database where datallowconn order by 1") || die "the server does not answer"
tables=0 rows=0 ok=true detail=''
while IFS= read -r database; do
  counted=$(sql -F ' ' -d "dbname='${database//\'/\\\'}'" 2>&1 <<'SQL'
set statement_timeout = 0;
create function pg_temp.read_all(out tables bigint, out rows bigint) language plpgsql as $$
declare one regclass; n bigint;
begin
  tables := 0; rows := 0;
  for one in select c.oid::regclass from pg_class c join pg_namespace s on s.oid = c.relnamespace
      where c.relkind in ('r', 'm') and c.relpersistence <> 't' and s.nspname not like 'pg_temp%' and (c.relkind = 'r' or c.relispopulated) loop
    execute format('select count(*) from (select (t.*)::text from %s t offset 0) as all_of_it', one) into n;
    if not exists (select from pg_class c where c.oid = one and c.relnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'pg_toast'::regnamespace)) then
      tables := tables + 1; rows := rows + n;
    end if;
  end loop;
end $$;
select * from pg_temp.read_all();
SQL
  )
  if [[ $counted =~ ^([0-9]+)\ ([0-9]+)$ ]]; then
    tables=$((tables + BASH_REMATCH[1])) rows=$((rows + BASH_REMATCH[2]))
  else
    ok=false detail+="database $database: $counted. "
  fi
done <<< "$databases"
if [[ $ok == true && -x $BIN/pg_amcheck ]] && ! said=$(pg_amcheck -h "$RUN" -p "$DB_PORT" -U postgres --all --install-missing --no-dependent-toast 2>&1); then
  # Where the extension cannot be had, the tables have been read all the same.
  if ! grep -qiE 'could not open extension|is not available|read-only' <<< "$said"; then
    ok=false detail="pg_amcheck: $said"
  fi
fi
[[ -n $detail ]] || detail="read $rows rows of $tables tables, checksums $(sql -c 'show data_checksums')"
printf '{"ok":%s,"tables":%d,"rows":%d,"detail":%s}\n' "$ok" "$tables" "$rows" "$(json_text "${detail:0:2000}")"
