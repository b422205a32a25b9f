#!/bin/bash
# query.sh [DATABASE]: evaluates the JavaScript on stdin; documents are rows with one column.
set -u
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
STATEMENTS=$(cat) DATABASE=${1:-test} js 65 <<'JS' || printf '{"error":"the server gave no answer within 60 s"}\n'
db = db.getSiblingDB(process.env.DATABASE);
try {
  let result = eval(process.env.STATEMENTS);
  const all = result && typeof result.toArray === 'function' ? result.limit ? result.limit(1000).toArray() : result.toArray()
    : Array.isArray(result) ? result : result === undefined || result === null ? [] : [result];
  const rows = all.slice(0, 1000).map((one) => [typeof one === 'string' ? one : EJSON.stringify(one)]);
  print(JSON.stringify({columns: ['result'], rows, message: rows.length === 1 ? '1 document' : `${rows.length} documents`}));
} catch (error) { print(JSON.stringify({error: error.message})); }
JS
