//! The default system call filter.
//!
//! Calls that a plain program needs are allowed; calls that reach the host are allowed with the
//! capability that makes them meaningful and otherwise refused with `EPERM`. A call that is in
//! neither list is newer than this table: it answers `ENOSYS`, so that libraries fall back to what
//! they used before, instead of taking `EPERM` for a verdict.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::sync::{Arc, Mutex, PoisonError};

use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSeccompOperator,
};
use serde_json::{Value, json};

use crate::Error;

const ALLOW: &str = "SCMP_ACT_ALLOW";
const ERRNO: &str = "SCMP_ACT_ERRNO";

/// The profile in the OCI form for a container with these capabilities (`CAP_...`).
pub(crate) fn profile(capabilities: &BTreeSet<String>) -> Value {
    let mut syscalls = vec![json!({ "names": words(ALWAYS), "action": ALLOW })];
    let mut refused: Vec<&str> = words(NEVER);
    for (needed, names) in WITH_CAPABILITY {
        if capabilities.contains(*needed) {
            syscalls.push(json!({ "names": words(names), "action": ALLOW }));
        } else {
            refused.extend(words(names));
        }
    }
    conditional(&mut syscalls, capabilities.contains("CAP_SYS_ADMIN"));
    let allowed: HashSet<String> = syscalls
        .iter()
        .filter(|rule| rule["action"] == ALLOW)
        .flat_map(|rule| rule["names"].as_array().into_iter().flatten())
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    refused.retain(|name| !allowed.contains(*name));
    refused.sort_unstable();
    refused.dedup();
    syscalls.push(json!({ "names": refused, "action": ERRNO, "errnoRet": libc::EPERM }));
    json!({
        "defaultAction": ERRNO,
        "defaultErrnoRet": libc::ENOSYS,
        "architectures": architectures(),
        "syscalls": syscalls,
    })
}

/// Calls that are safe with some arguments only.
fn conditional(syscalls: &mut Vec<Value>, admin: bool) {
    for persona in [0x0_u64, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff] {
        syscalls.push(json!({ "names": ["personality"], "action": ALLOW,
            "args": [{ "index": 0, "value": persona, "op": "SCMP_CMP_EQ" }] }));
    }
    // Any family but AF_VSOCK, which leads out of a virtual machine.
    syscalls.push(json!({ "names": ["socket"], "action": ALLOW,
        "args": [{ "index": 0, "value": libc::AF_VSOCK, "op": "SCMP_CMP_NE" }] }));
    if admin {
        syscalls.push(json!({ "names": ["clone", "clone3"], "action": ALLOW }));
        return;
    }
    // No new namespaces. clone3 hides its flags from the filter; without it libraries use clone.
    syscalls.push(json!({ "names": ["clone"], "action": ALLOW,
        "args": [{ "index": 0, "value": 0x7e02_0000_u64, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }] }));
}

fn architectures() -> &'static [&'static str] {
    match std::env::consts::ARCH {
        "x86_64" => &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "aarch64" => &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        _ => &[],
    }
}

fn words(list: &'static str) -> Vec<&'static str> {
    list.split_ascii_whitespace().collect()
}

/// Turns a profile in the OCI form into the kernel's own form. This takes milliseconds, so callers
/// keep the result.
pub(crate) fn compile(profile: &Value) -> Result<Vec<u8>, Error> {
    let profile: LinuxSeccomp = serde_json::from_value(profile.clone())
        .map_err(|error| Error::Seccomp { reason: format!("not in the OCI form: {error}") })?;
    let library = |error: libseccomp::error::SeccompError| Error::Seccomp { reason: error.to_string() };
    let default = action(profile.default_action(), profile.default_errno_ret())?;
    let mut filter = ScmpFilterContext::new(default).map_err(library)?;
    // A balanced tree instead of a long list; old libraries know only the list.
    let _list = filter.set_ctl_optimize(2);
    for arch in profile.architectures().iter().flatten() {
        filter.add_arch(architecture(*arch)?).map_err(library)?;
    }
    for flag in profile.flags().iter().flatten() {
        match flag {
            LinuxSeccompFilterFlag::SeccompFilterFlagLog => filter.set_ctl_log(true),
            LinuxSeccompFilterFlag::SeccompFilterFlagTsync => filter.set_ctl_tsync(true),
            LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => filter.set_ctl_ssb(true),
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => filter.set_ctl_waitkill(true),
        }
        .map_err(library)?;
    }
    for rule in profile.syscalls().iter().flatten() {
        let action = action(rule.action(), rule.errno_ret())?;
        if action == default {
            continue;
        }
        // A call that the library does not know has no number to filter by.
        for call in rule.names().iter().filter_map(|name| ScmpSyscall::from_name(name).ok()) {
            add_rule(&mut filter, action, call, rule.args().as_deref().unwrap_or_default())
                .map_err(library)?;
        }
    }
    export(&filter).map_err(|source| Error::Io { attempt: "export a system call filter", source })
}

/// Compiled filters by profile. Nearly all containers share a few.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    compiled: Mutex<HashMap<String, Arc<Vec<u8>>>>,
}

impl Filters {
    /// More than this many profiles are not kept.
    const MAX: usize = 64;

    pub(crate) fn get(&self, profile: &Value) -> Result<Arc<Vec<u8>>, Error> {
        let key = profile.to_string();
        let lock = || self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filter) = lock().get(&key) {
            return Ok(Arc::clone(filter));
        }
        let filter = Arc::new(compile(profile)?);
        let mut compiled = lock();
        if compiled.len() >= Self::MAX {
            compiled.clear();
        }
        compiled.insert(key, Arc::clone(&filter));
        Ok(filter)
    }

    /// Compiles the usual filter while nobody waits for it.
    pub(crate) fn warm(self: &Arc<Self>) {
        let filters = Arc::clone(self);
        let capabilities = crate::DEFAULT_CAPABILITIES.iter().map(|name| (*name).to_owned()).collect();
        std::thread::spawn(move || {
            if let Err(error) = filters.get(&profile(&capabilities)) {
                tracing::error!(%error, "compile the default system call filter");
            }
        });
    }
}

/// Conditions on different arguments must all hold; of several on one argument, any.
fn add_rule(
    filter: &mut ScmpFilterContext,
    action: ScmpAction,
    call: ScmpSyscall,
    arguments: &[LinuxSeccompArg],
) -> Result<(), libseccomp::error::SeccompError> {
    let compares: Vec<ScmpArgCompare> = arguments.iter().map(compare).collect();
    let indices: HashSet<usize> = arguments.iter().map(LinuxSeccompArg::index).collect();
    if compares.is_empty() {
        filter.add_rule(action, call)?;
    } else if indices.len() == compares.len() {
        filter.add_rule_conditional(action, call, &compares)?;
    } else {
        for one in compares {
            filter.add_rule_conditional(action, call, &[one])?;
        }
    }
    Ok(())
}

fn compare(argument: &LinuxSeccompArg) -> ScmpArgCompare {
    let operator = match argument.op() {
        LinuxSeccompOperator::ScmpCmpNe => ScmpCompareOp::NotEqual,
        LinuxSeccompOperator::ScmpCmpLt => ScmpCompareOp::Less,
        LinuxSeccompOperator::ScmpCmpLe => ScmpCompareOp::LessOrEqual,
        LinuxSeccompOperator::ScmpCmpEq => ScmpCompareOp::Equal,
        LinuxSeccompOperator::ScmpCmpGe => ScmpCompareOp::GreaterEqual,
        LinuxSeccompOperator::ScmpCmpGt => ScmpCompareOp::Greater,
        LinuxSeccompOperator::ScmpCmpMaskedEq => {
            // The OCI form has the mask first and the value second; the library the reverse.
            let value = argument.value_two().unwrap_or(0);
            let index = u32::try_from(argument.index()).unwrap_or(u32::MAX);
            return ScmpArgCompare::new(index, ScmpCompareOp::MaskedEqual(argument.value()), value);
        }
    };
    ScmpArgCompare::new(u32::try_from(argument.index()).unwrap_or(u32::MAX), operator, argument.value())
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Result<ScmpAction, Error> {
    let errno = errno.and_then(|errno| i32::try_from(errno).ok()).unwrap_or(libc::EPERM);
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => ScmpAction::KillThread,
        LinuxSeccompAction::ScmpActKillProcess => ScmpAction::KillProcess,
        LinuxSeccompAction::ScmpActTrap => ScmpAction::Trap,
        LinuxSeccompAction::ScmpActErrno => ScmpAction::Errno(errno),
        LinuxSeccompAction::ScmpActAllow => ScmpAction::Allow,
        LinuxSeccompAction::ScmpActLog => ScmpAction::Log,
        LinuxSeccompAction::ScmpActTrace | LinuxSeccompAction::ScmpActNotify => {
            return Err(Error::Seccomp {
                reason: format!("{action:?} needs a supervisor, and there is none"),
            });
        }
    })
}

fn architecture(arch: Arch) -> Result<ScmpArch, Error> {
    Ok(match arch {
        Arch::ScmpArchNative => ScmpArch::Native,
        Arch::ScmpArchX86 => ScmpArch::X86,
        Arch::ScmpArchX86_64 => ScmpArch::X8664,
        Arch::ScmpArchX32 => ScmpArch::X32,
        Arch::ScmpArchArm => ScmpArch::Arm,
        Arch::ScmpArchAarch64 => ScmpArch::Aarch64,
        Arch::ScmpArchPpc64le => ScmpArch::Ppc64Le,
        Arch::ScmpArchS390x => ScmpArch::S390X,
        Arch::ScmpArchRiscv64 => ScmpArch::Riscv64,
        other => return Err(Error::Seccomp { reason: format!("architecture {other:?} is not supported") }),
    })
}

/// The library writes to descriptors only.
fn export(filter: &ScmpFilterContext) -> io::Result<Vec<u8>> {
    let memory = nix::sys::memfd::memfd_create("seccomp", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let mut file = File::from(memory);
    filter.export_bpf(&file).map_err(io::Error::other)?;
    file.rewind()?;
    let mut program = Vec::new();
    file.read_to_end(&mut program)?;
    Ok(program)
}

const ALWAYS: &str = "
    accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32
    clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
    clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2
    dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
    epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64
    fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat
    fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64
    fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64
    futex_wait futex_waitv futex_wake futimesat get_mempolicy get_robust_list get_thread_area
    getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups
    getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid
    getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid
    gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup
    io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset
    landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listxattr listxattrat
    llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier
    memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2
    modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64
    mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock
    munlockall munmap name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause
    pidfd_getfd pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll
    ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv
    process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readlink
    readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr
    removexattrat rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending
    rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
    rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
    sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select
    semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto
    set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid
    setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid
    setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32
    setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask
    sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statx symlink symlinkat sync
    sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun
    timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit
    umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4
    waitid waitpid write writev arch_prctl arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush
    set_tls sync_file_range2 riscv_flush_icache
";

/// Names of calls by the capability that admits them.
const WITH_CAPABILITY: &[(&str, &str)] = &[
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    (
        "CAP_SYS_ADMIN",
        "bpf fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
         lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open
         quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare listmount
         statmount",
    ),
    ("CAP_SYS_BOOT", "reboot kexec_load kexec_file_load"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module init_module finit_module"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_PTRACE", "kcmp process_madvise"),
    ("CAP_SYS_RAWIO", "iopl ioperm"),
    ("CAP_SYS_TIME", "settimeofday stime clock_settime clock_settime64"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node migrate_pages move_pages"),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_BPF", "bpf"),
    ("CAP_PERFMON", "perf_event_open"),
];

/// Calls that no container needs, refused as forbidden rather than unknown.
const NEVER: &str = "
    add_key afs_syscall create_module get_kernel_syms getpmsg io_uring_enter io_uring_register
    io_uring_setup keyctl nfsservctl pivot_root putpmsg query_module request_key security swapoff
    swapon sysfs tuxcall uselib userfaultfd ustat vserver vm86 vm86old _sysctl pciconfig_iobase
    pciconfig_read pciconfig_write
";

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(profile: &Value) -> Vec<String> {
        let rules = profile["syscalls"].as_array().expect("a list");
        let last = rules.last().expect("not empty");
        last["names"].as_array().expect("names").iter().map(|n| n.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn mount_needs_the_capability() {
        assert!(refused(&profile(&BTreeSet::new())).contains(&"mount".to_owned()));
        let admin = BTreeSet::from(["CAP_SYS_ADMIN".to_owned()]);
        assert!(!refused(&profile(&admin)).contains(&"mount".to_owned()));
        assert!(refused(&profile(&admin)).contains(&"reboot".to_owned()));
    }

    #[test]
    fn no_call_is_both_allowed_and_refused() {
        let profile = profile(&BTreeSet::new());
        let refused = refused(&profile);
        for name in words(ALWAYS) {
            assert!(!refused.contains(&name.to_owned()), "{name}");
        }
        assert!(!compile(&profile).expect("a filter").is_empty());
    }
}
