#!/bin/bash
# Closes the current binary log.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
sql -e 'flush local binary logs'
