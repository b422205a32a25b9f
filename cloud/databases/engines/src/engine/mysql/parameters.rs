//! What users may change of MySQL and MariaDB: what both know.

use crate::parameters::Kind::{Choice, Integer, Number, Size, Switch, Text};
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

const ISOLATION: &[&str] = &["READ-UNCOMMITTED", "READ-COMMITTED", "REPEATABLE-READ", "SERIALIZABLE"];

pub(super) const ALL: &[Parameter] = &[
    restart("innodb_log_file_size", Size { min: 4 * MIB, max: 512 * GIB }, "size of the redo log"),
    restart("performance_schema", Switch, "collect measurements"),
    restart("skip_name_resolve", Switch, "do not look up names of clients"),
    restart("back_log", Integer { min: 1, max: 65_535 }, "connections that may wait"),
    restart("innodb_ft_min_token_size", Integer { min: 0, max: 16 }, "shortest word of full text search"),
    live(
        "innodb_buffer_pool_size",
        Size { min: 5 * MIB, max: 1024 * GIB },
        "memory for the cache of the server",
    ),
    live("max_connections", Integer { min: 10, max: 100_000 }, "how many clients may be connected"),
    live("max_allowed_packet", Size { min: KIB, max: GIB }, "longest statement or row"),
    live("max_connect_errors", Integer { min: 1, max: i64::MAX }, "errors after which a client is shut out"),
    live("wait_timeout", Integer { min: 1, max: 31_536_000 }, "seconds until idle clients are closed"),
    live("interactive_timeout", Integer { min: 1, max: 31_536_000 }, "the same for interactive clients"),
    live("net_read_timeout", Integer { min: 1, max: 31_536_000 }, "seconds to wait for a client's data"),
    live(
        "net_write_timeout",
        Integer { min: 1, max: 31_536_000 },
        "seconds to wait until a client takes data",
    ),
    live("lock_wait_timeout", Integer { min: 1, max: 31_536_000 }, "seconds to wait for locks of tables"),
    live(
        "innodb_lock_wait_timeout",
        Integer { min: 1, max: 1_073_741_824 },
        "seconds to wait for locks of rows",
    ),
    live("innodb_flush_log_at_trx_commit", Integer { min: 0, max: 2 }, "when the redo log is made durable"),
    live(
        "sync_binlog",
        Integer { min: 0, max: 4_294_967_295 },
        "commits after which the binary log is made durable",
    ),
    live(
        "innodb_io_capacity",
        Integer { min: 100, max: 1_000_000 },
        "writes in a second for background work",
    ),
    live("innodb_print_all_deadlocks", Switch, "log deadlocks"),
    live("long_query_time", Number { min: 0.0, max: 31_536_000.0 }, "seconds from which statements are slow"),
    live("slow_query_log", Switch, "note slow statements"),
    live("log_queries_not_using_indexes", Switch, "note statements that use no index"),
    live("sort_buffer_size", Size { min: 32 * KIB, max: 4 * GIB }, "memory of one sort"),
    live("join_buffer_size", Size { min: 128, max: 4 * GIB }, "memory of one join"),
    live("read_buffer_size", Size { min: 8 * KIB, max: 2 * GIB }, "memory of one sequential read"),
    live("tmp_table_size", Size { min: KIB, max: 64 * GIB }, "largest temporary table in memory"),
    live("max_heap_table_size", Size { min: 16 * KIB, max: 64 * GIB }, "largest table of the MEMORY engine"),
    live("table_open_cache", Integer { min: 1, max: 524_288 }, "open tables"),
    live("thread_cache_size", Integer { min: 0, max: 16_384 }, "threads that are kept"),
    live("transaction_isolation", Choice(ISOLATION), "isolation of new transactions"),
    live("sql_mode", Text, "how strict statements are taken"),
    live("character_set_server", Text, "character set of new databases"),
    live("collation_server", Text, "order of texts in new databases"),
    live("time_zone", Text, "time zone of new sessions"),
    live("event_scheduler", Switch, "run events"),
    live("group_concat_max_len", Integer { min: 4, max: 4_294_967_295 }, "longest result of GROUP_CONCAT"),
    live("log_bin_trust_function_creators", Switch, "let users create functions"),
    live("local_infile", Switch, "let clients load their files"),
    live("explicit_defaults_for_timestamp", Switch, "no implicit defaults of TIMESTAMP"),
];
