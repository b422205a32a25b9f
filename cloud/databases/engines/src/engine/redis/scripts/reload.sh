#!/bin/bash
# Takes over the parameters that need no restart.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
bad=''
while read -r name value; do
  [[ -n $name ]] || continue
  [[ $value == \"*\" ]] || value=\"$value\"
  answer=$(echo "config set $name $value" | cli --raw)
  case $answer in
    OK* | *immutable* | '') ;;
    *) bad+="$name: $answer. " ;;
  esac
done < "$CONFIG/parameters.conf"
[[ -z $bad ]] || die "$bad"
