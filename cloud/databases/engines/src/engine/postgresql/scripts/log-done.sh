#!/bin/bash
# log-done.sh NAME…: these are safe elsewhere.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
for name in "$@"; do
  [[ $name =~ ^[0-9A-F]{8}(\.history|[0-9A-F]{16}(\.partial)?)$ ]] || die "\`$name\` is no name of a segment"
  rm -f -- "$SPOOL/$name"
done
