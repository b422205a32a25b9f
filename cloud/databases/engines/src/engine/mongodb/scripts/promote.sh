#!/bin/bash
# Makes this member the only one with a vote, so that it leads.
set -eu
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
HOST=$(host_of "$POD_NAME") js 60 <<'JS' > /dev/null
if (!db.hello().isWritablePrimary) {
  const config = db.adminCommand({replSetGetConfig: 1}).config;
  for (const member of config.members) {
    const chosen = member.host === process.env.HOST;
    member.priority = chosen ? 1 : 0;
    member.votes = chosen ? 1 : 0;
  }
  config.version += 1;
  const done = db.adminCommand({replSetReconfig: config, force: true});
  if (!done.ok) { print(done.errmsg); quit(1); }
  const until = Date.now() + 50000;
  while (!db.hello().isWritablePrimary) { if (Date.now() > until) quit(1); sleep(100); }
}
JS
