#!/bin/bash
# The operations that run long now.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
js 10 <<'JS'
const slow = db.currentOp({active: true, secs_running: {$gte: 1}, ns: {$ne: ''}}).inprog.map((op) => ({
  statement: JSON.stringify(op.command).slice(0, 2000), database: op.ns, calls: 1, totalMilliseconds: Number(op.microsecs_running) / 1000,
}));
print(JSON.stringify(slow));
JS
