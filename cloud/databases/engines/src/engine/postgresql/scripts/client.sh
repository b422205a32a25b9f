#!/bin/bash
# client.sh [DATABASE]: psql, logged in.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
exec psql -h "$RUN" -p "$DB_PORT" -U "$DB_USER" -d "${1:-postgres}"
