#!/bin/bash
# Takes over the parameters that need no restart; complains of those that the server does not take.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
sql -c 'select pg_reload_conf()' > /dev/null
bad=$(sql -F ': ' -c "select name, error from pg_file_settings where error is not null and error <> 'setting could not be applied' and sourcefile like '/sealos/%'")
[[ -z $bad ]] || die "$bad"
