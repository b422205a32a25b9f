#!/bin/bash
# The slow commands that the server remembers.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
cli --raw eval "
local slow = {}
for _, entry in ipairs(redis.call('slowlog', 'get', 50)) do
  slow[#slow + 1] = {statement = table.concat(entry[4], ' '):sub(1, 2000), calls = 1,
    totalMilliseconds = entry[3] / 1000, maxMilliseconds = entry[3] / 1000, at = entry[2]}
end
if #slow == 0 then return '[]' end
return cjson.encode(slow)" 0
