#!/bin/bash
# client.sh [DATABASE]: the interactive client, logged in.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
exec "$CLIENT" --defaults-extra-file="$(credentials)" --default-character-set=utf8mb4 ${1:+-D "$1"}
