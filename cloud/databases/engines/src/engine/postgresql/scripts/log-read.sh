#!/bin/bash
# log-read.sh NAME: one segment.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ ${1:-} =~ ^[0-9A-F]{8}(\.history|[0-9A-F]{16}(\.partial)?)$ ]] || die "\`${1:-}\` is no name of a segment"
exec cat -- "$SPOOL/$1"
