#!/bin/bash
# Sets the passwords of this cluster and grants what replicas need. Run on the primary; again is no harm.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
export DB_PASSWORD REPLICATION_PASSWORD

sql -v user="$DB_USER" -v replication="$REPLICATION_USER" <<'SQL'
set synchronous_commit = local;
set client_min_messages = warning;
set log_statement = 'none';
set log_min_duration_statement = -1;
set log_min_error_statement = 'panic';
\set password `printf %s "$DB_PASSWORD"`
\set secret `printf %s "$REPLICATION_PASSWORD"`
select format('create role %I superuser login', :'user') where not exists (select from pg_roles where rolname = :'user') \gexec
alter role :"user" password :'password';
select format('create role %I', :'replication') where not exists (select from pg_roles where rolname = :'replication') \gexec
alter role :"replication" login replication password :'secret';
grant execute on function pg_catalog.pg_ls_dir(text, boolean, boolean) to :"replication";
grant execute on function pg_catalog.pg_stat_file(text, boolean) to :"replication";
grant execute on function pg_catalog.pg_read_binary_file(text) to :"replication";
grant execute on function pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) to :"replication";
select format('grant pg_checkpoint to %I', :'replication') where exists (select from pg_roles where rolname = 'pg_checkpoint') \gexec
select 'create extension if not exists pg_stat_statements' where current_setting('shared_preload_libraries') like '%pg_stat_statements%' \gexec
SQL
