#!/bin/bash
# Takes over the parameters that need no restart.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
bad=''
while IFS= read -r line; do
  name=${line%% = *} value=${line#* = }
  [[ $name =~ ^[a-z_]+$ ]] || continue
  [[ $name != transaction_isolation || $FLAVOUR != mariadb ]] || name=tx_isolation
  if [[ $value =~ ^([0-9]+)([KMG])$ ]]; then
    case ${BASH_REMATCH[2]} in K) shift=10 ;; M) shift=20 ;; *) shift=30 ;; esac
    value=$((BASH_REMATCH[1] << shift))
  elif [[ ! $value =~ ^-?[0-9.]+$ ]]; then
    value=$(sql_text "$value")
  fi
  said=$(sql -B <<< "set global $name = $value" 2>&1) && continue
  # 1238: takes effect at the next start; 1193: the other server's word.
  [[ $said == *'ERROR 1238'* || $said == *'ERROR 1193'* ]] || bad+="$name: $said. "
done < <(cat "$CONFIG/parameters.conf" 2>/dev/null)
[[ -z $bad ]] || die "$bad"
