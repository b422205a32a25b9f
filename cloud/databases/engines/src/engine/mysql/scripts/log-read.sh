#!/bin/bash
# log-read.sh NAME: one binary log.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[[ ${1:-} =~ ^[0-9]{10}-[0-9]+-[0-9]{6,}$ ]] || die "\`${1:-}\` is no name of a segment"
exec cat -- "$DATA_DIR/binlog.${1##*-}"
