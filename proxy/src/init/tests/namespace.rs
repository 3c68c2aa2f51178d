//! Network namespaces for tests: a pod, and a peer at the other end of its link.

use std::{fs::File, os::fd::AsRawFd, process::Command, thread};

use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace that lives as long as this value.
pub(super) struct Namespace(File);

impl Namespace {
    /// A namespace with nothing but its loopback, which is up.
    pub(super) fn new() -> Self {
        let namespace = thread::scope(|scope| {
            let made = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET).unwrap_or_else(|errno| {
                    panic!("this test makes a network namespace and must run as root: {errno}")
                });
                File::open("/proc/thread-self/ns/net").unwrap()
            });
            Self(made.join().unwrap())
        });
        namespace.ip("link set lo up");
        namespace
    }

    /// Runs `work` on a thread of its own, in this namespace.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let ran = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            ran.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs the program `ip` of iproute2 in this namespace.
    pub(super) fn ip(&self, arguments: &str) {
        self.run(|| {
            let output = Command::new("ip").args(arguments.split(' ')).output();
            let output = output.unwrap_or_else(|error| panic!("this test needs the program ip of iproute2: {error}"));
            assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        });
    }

    /// What `ip link` takes for the name of this namespace.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}
