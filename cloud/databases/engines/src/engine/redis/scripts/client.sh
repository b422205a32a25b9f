#!/bin/bash
# client.sh [DATABASE]: the interactive client, logged in.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
cli -n "${1:-0}"
