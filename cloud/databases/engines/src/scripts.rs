//! The contract between the platform and an engine's scripts.
//!
//! Every engine brings the scripts named below. They are written for `bash` and what the engine's image
//! has, so that they run in the upstream images as well as in those built from packages. All are mounted
//! at [`SCRIPTS_DIR`] with mode 0755. The container starts with [`START`]; the others are run by exec in
//! the engine's container, as the container's user (root; scripts drop to the engine's user themselves).
//!
//! Environment of the container: `POD_NAME`, `POD_IP`, `POD_NAMESPACE`, `CLUSTER`, `COMPONENT`,
//! `ENGINE_VERSION` (as asked, such as `14.8.0`), `PRIMARY_HOST` (the primary Service's name), `DB_PORT`,
//! `DB_USER`, `DB_PASSWORD`, `REPLICATION_PASSWORD`, `MEMORY_LIMIT` (bytes), `CPU_MILLIS` (the limit;
//! absent without one), `DATA_DIR`, and `RESTORE=1` in
//! pods of a Cluster that is to be restored from a backup. `REPLICATION_MODE` is `sync` or `async`.
//!
//! A `start.sh` that waits for a restore makes the file `.restore/waiting` on the volume when it begins.
//! After a restore the passwords are those of the environment. Archiving follows the key
//! [`crate::parameters::ARCHIVE`] of the ConfigMap at once. Scripts that are not named below (`lib.sh`, …)
//! belong to the engine. Complaints go to stderr, one plain sentence last.
//!
//! | script | does | stdout |
//! |---|---|---|
//! | `start.sh` | runs the engine in the foreground (exec). Reads `$TOPOLOGY_DIR/primary`: if it names this pod (or this pod holds the only data) it starts as the primary, else as a replica of `PRIMARY_HOST`, cloning or rewinding its data as needed; never as a second primary. With `RESTORE=1`, an empty data directory and this pod the named primary, it first waits until `restore-end.sh` has run | – |
//! | `role.sh` | asks the engine | one JSON line `{"role":"primary"\|"secondary","position":"<comparable within the cluster, larger is newer>","lagBytes":n,"lagSeconds":n,"readOnly":bool,"replicas":n}`; exits non-zero when the engine does not answer |
//! | `promote.sh` | makes this replica the primary; returns when it takes writes. Doing it again is no error | – |
//! | `members.sh ALL… -- SYNC…` | tells the primary who its replicas are (before `--`: replication slots) and whose acknowledgement counts (after it). Until it has run, a synchronous primary waits for any replica; with nothing after `--` it commits alone | – |
//! | `probe.sh ready\|live` | the probes | – |
//! | `backup.sh` | a full, consistent, physical or snapshot backup of a running engine | the backup as one stream |
//! | `log-list.sh` | the finished log segments that wait to be taken away, oldest first (PostgreSQL WAL, MySQL binary log); empty for engines without | one name a line |
//! | `log-read.sh NAME` | one such segment | its bytes |
//! | `log-done.sh NAME…` | these segments are safe elsewhere | – |
//! | `log-switch.sh` | closes the current segment, so that it can be taken away | – |
//! | `restore-base.sh` | reads the stream of `backup.sh` from stdin into the empty data directory | – |
//! | `restore-log.sh NAME` | reads one segment from stdin | – |
//! | `restore-end.sh [TIME]` | all is there; recover to TIME (RFC 3339) or to the end, then let `start.sh` go on | – |
//! | `check.sh` | checks a restored engine thoroughly (all tables readable, checksums) | one JSON line `{"ok":bool,"tables":n,"rows":n,"detail":"…"}` |
//! | `dump.sh [DATABASE]` | a logical dump (SQL, RDB, archive) | the dump |
//! | `load.sh [DATABASE]` | reads a logical dump from stdin; refuses what is no dump | – |
//! | `password.sh` | sets the user's password from stdin | – |
//! | `reload.sh` | takes over the parameters of `$CONFIG_DIR` that need no restart | – |
//! | `metrics.sh` | what the charts show | one JSON object of numbers: `connections`, `maxConnections`, `transactions`, `cacheHits`, `cacheMisses`, `replicationLagSeconds`, `storageBytes`, … |
//! | `slow.sh` | the slowest statements known | a JSON array |
//! | `query.sh [DATABASE]` | runs the statements (or commands) on stdin for the console's query page | one JSON object `{"columns":[…],"rows":[[…]],"message":"…"}` or `{"error":"…"}` |
//! | `client.sh [DATABASE]` | the engine's own interactive client, logged in (`sealos db connect`) | – |

/// Where the scripts are mounted.
pub const SCRIPTS_DIR: &str = "/sealos/scripts";
/// Where the engine's parameters are mounted.
pub const CONFIG_DIR: &str = "/sealos/config";
/// Where the topology is mounted: one file, `primary`.
pub const TOPOLOGY_DIR: &str = "/sealos/topology";
/// Where the data volume is mounted; `DATA_DIR` is a directory in it.
pub const VOLUME_DIR: &str = "/sealos/data";
/// The container's command.
pub const START: &str = "start.sh";
/// The scripts that every engine has.
pub const ALL: [&str; 22] = [
    START,
    "role.sh",
    "promote.sh",
    "members.sh",
    "probe.sh",
    "backup.sh",
    "log-list.sh",
    "log-read.sh",
    "log-done.sh",
    "log-switch.sh",
    "restore-base.sh",
    "restore-log.sh",
    "restore-end.sh",
    "check.sh",
    "dump.sh",
    "load.sh",
    "password.sh",
    "reload.sh",
    "metrics.sh",
    "slow.sh",
    "query.sh",
    "client.sh",
];
