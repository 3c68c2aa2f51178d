//! Tests of memory: each runs in a process of its own, where nobody else's is measured.

use std::process::Command;

const MARK: &str = "WEFT_TEST_ALONE";

/// Whether the caller is alone in its process. If not, it is run again by itself, and is done when this returns: `name` is the
/// test's, with its module.
pub(crate) fn is_alone(name: &str) -> bool {
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(MARK, "1")
        .output()
        .unwrap();
    let said = [run.stdout, run.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
    println!("{said}");
    false
}

/// Memory of the process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory(u64);

impl Memory {
    /// What it has now; from here on the most is measured.
    pub(crate) fn now() -> Self {
        // Source: proc(5), the peak is reset by 5.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        Self(status("VmRSS:"))
    }

    /// How much more it has had since, at the most.
    pub(crate) fn grown(self) -> u64 {
        status("VmHWM:").saturating_sub(self.0)
    }
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
