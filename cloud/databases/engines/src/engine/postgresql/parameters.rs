//! What users may change of PostgreSQL.

use crate::parameters::Kind::{Choice, Duration, Integer, Number, Size, Switch, Text};
use crate::parameters::{Kind, Parameter};

const fn live(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, restart: false, about }
}

const fn restart(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, restart: true, about }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

pub(super) const ALL: &[Parameter] = &[
    restart("max_connections", Integer { min: 10, max: 100_000 }, "how many clients may be connected"),
    restart("shared_buffers", Size { min: MIB, max: 1024 * GIB }, "memory for the cache of the server"),
    restart("max_worker_processes", Integer { min: 1, max: 1024 }, "background processes"),
    restart("max_prepared_transactions", Integer { min: 0, max: 10_000 }, "two-phase transactions at a time"),
    restart("max_locks_per_transaction", Integer { min: 10, max: 100_000 }, "size of the lock table"),
    restart("shared_preload_libraries", Text, "libraries that are loaded at the start"),
    restart("autovacuum_max_workers", Integer { min: 1, max: 64 }, "vacuum processes at a time"),
    live("work_mem", Size { min: 64 * KIB, max: 64 * GIB }, "memory of one sort or hash"),
    live("maintenance_work_mem", Size { min: MIB, max: 64 * GIB }, "memory of VACUUM and CREATE INDEX"),
    live("effective_cache_size", Size { min: 8 * KIB, max: 1024 * GIB }, "what the planner takes as cached"),
    live(
        "temp_file_limit",
        Size { min: 0, max: 1024 * GIB },
        "disk that one session may use for temporary files",
    ),
    live("max_wal_size", Size { min: 32 * MIB, max: 1024 * GIB }, "log between checkpoints"),
    live("min_wal_size", Size { min: 32 * MIB, max: 1024 * GIB }, "log that is kept for reuse"),
    live("checkpoint_timeout", Duration, "longest time between checkpoints"),
    live("checkpoint_completion_target", Number { min: 0.0, max: 1.0 }, "how far checkpoints are spread"),
    live("wal_compression", Switch, "compress full pages in the log"),
    live(
        "synchronous_commit",
        Choice(&["on", "off", "local", "remote_write", "remote_apply"]),
        "when a commit is acknowledged",
    ),
    live("random_page_cost", Number { min: 0.0, max: 1000.0 }, "the planner's price of a random page"),
    live("seq_page_cost", Number { min: 0.0, max: 1000.0 }, "the planner's price of a sequential page"),
    live("effective_io_concurrency", Integer { min: 0, max: 1000 }, "reads at a time"),
    live("max_parallel_workers", Integer { min: 0, max: 1024 }, "workers of parallel queries"),
    live("max_parallel_workers_per_gather", Integer { min: 0, max: 1024 }, "workers of one parallel query"),
    live("default_statistics_target", Integer { min: 1, max: 10_000 }, "detail of statistics"),
    live("jit", Switch, "compile long queries"),
    live("statement_timeout", Duration, "longest time of a statement; 0 is no limit"),
    live("lock_timeout", Duration, "longest wait for a lock; 0 is no limit"),
    live("idle_in_transaction_session_timeout", Duration, "when idle transactions are ended; 0 is never"),
    live("idle_session_timeout", Duration, "when idle sessions are ended; 0 is never"),
    live("deadlock_timeout", Duration, "wait before looking for deadlocks"),
    live("autovacuum", Switch, "vacuum by itself"),
    live("autovacuum_naptime", Duration, "time between rounds of vacuum"),
    live(
        "autovacuum_vacuum_scale_factor",
        Number { min: 0.0, max: 100.0 },
        "dead part of a table that calls for vacuum",
    ),
    live(
        "autovacuum_analyze_scale_factor",
        Number { min: 0.0, max: 100.0 },
        "changed part of a table that calls for analysis",
    ),
    live("log_min_duration_statement", Duration, "log statements that take longer; -1 is none"),
    live("log_statement", Choice(&["none", "ddl", "mod", "all"]), "which statements are logged"),
    live("log_connections", Switch, "log connections"),
    live("log_disconnections", Switch, "log ends of connections"),
    live("log_lock_waits", Switch, "log long waits for locks"),
    live("timezone", Text, "time zone of new sessions"),
    live("log_timezone", Text, "time zone of the log"),
    live("datestyle", Text, "how dates are written and read"),
    live(
        "default_transaction_isolation",
        Choice(&["read committed", "repeatable read", "serializable", "read uncommitted"]),
        "isolation of new transactions",
    ),
    live("default_text_search_config", Text, "text search configuration"),
    live("search_path", Text, "schemas that are searched"),
];
