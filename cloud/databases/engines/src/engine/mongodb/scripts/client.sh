#!/bin/bash
# client.sh [DATABASE]: mongosh, logged in.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
mkdir -p "$RUN"
cat > "$RUN/login.js" <<'JS'
db.getSiblingDB('admin').auth('sealos_platform', process.env.REPLICATION_PASSWORD);
JS
exec "$SHELL_PROGRAM" --quiet --shell "mongodb://127.0.0.1:$DB_PORT/${1:-test}?directConnection=true" "$RUN/login.js"
