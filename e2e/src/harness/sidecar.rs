//! What a sidecar or the operator says about itself, and what the kernel says about it.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::LogParams};

use super::{PROXY_ADMIN_PORT, TestNamespace};

/// Metrics in Prometheus' text format.
#[derive(Debug, Clone)]
pub struct Metrics(String);

impl Metrics {
    /// As they were read.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Sum of all series of this name whose labels hold every one of `labels`, each written like `reason="expired"`.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let of_series = |line: &str| -> Option<f64> {
            let rest = line.strip_prefix(name)?;
            let (series, value) = rest.rsplit_once(' ')?;
            let is_it = series.is_empty() || (series.starts_with('{') && series.ends_with('}'));
            let has_labels = labels.iter().all(|label| series.contains(label));
            (is_it && has_labels).then(|| value.parse().ok())?
        };
        self.0.lines().filter_map(of_series).sum()
    }

    /// Lines that begin with `name`.
    #[must_use]
    pub fn lines(&self, name: &str) -> String {
        self.0.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>().join("\n")
    }
}

impl TestNamespace {
    /// The metrics of a pod's sidecar.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn proxy_metrics(&self, pod: &Pod) -> Result<Metrics> {
        let text = self.cluster.ask_pod(Method::GET, pod, PROXY_ADMIN_PORT, "metrics", String::new()).await?;
        Ok(Metrics::new(text))
    }

    /// The log of one container of a pod.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn log(&self, pod: &Pod, container: &str) -> Result<String> {
        let parameters = LogParams { container: Some(container.to_owned()), ..LogParams::default() };
        Ok(self.api::<Pod>().logs(&pod.name_any(), &parameters).await?)
    }
}

/// A process of a pod on the local cluster, whose nodes are part of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pid: u32,
}

/// What a process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Memory that is resident.
    pub resident_bytes: u64,
    /// The most that ever was, or since [`Process::forget_peak`].
    pub peak_bytes: u64,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: u64,
}

impl Process {
    /// The one process of this name in a pod.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn of(pod: &Pod, program: &str) -> Result<Self> {
        let uid = pod.uid().context("a pod without a uid")?;
        // With systemd's driver the name of the group has underscores.
        let groups = [uid.clone(), uid.replace('-', "_")];
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let path = entry?.path();
            let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
            // Processes end while they are looked at.
            let read = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
            if read("comm").trim_end() == program && groups.iter().any(|group| read("cgroup").contains(group.as_str()))
            {
                found.push(Self { pid });
            }
        }
        ensure!(found.len() == 1, "{} processes are called {program} in pod {}", found.len(), pod.name_any());
        Ok(found[0])
    }

    /// What it uses now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(self) -> Result<Usage> {
        let folder = format!("/proc/{}", self.pid);
        let status = fs::read_to_string(format!("{folder}/status")).context("the process has ended")?;
        let field = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
            let number = line.trim_start_matches(':').split_whitespace().next().context("an empty line")?;
            Ok(number.parse()?)
        };
        Ok(Usage {
            resident_bytes: field("VmRSS")? * 1024,
            peak_bytes: field("VmHWM")? * 1024,
            descriptors: fs::read_dir(Path::new(&folder).join("fd"))?.count(),
            threads: field("Threads")?,
        })
    }

    /// Lets the peak begin anew.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn forget_peak(self) -> Result<()> {
        // proc_pid_clear_refs(5): 5 resets the peak to what is resident now.
        fs::write(format!("/proc/{}/clear_refs", self.pid), "5").context("the process has ended")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_the_series_that_match() {
        let metrics = Metrics::new(
            "# HELP a_total Of a.\na_total{x=\"1\",y=\"2\"} 3\na_total{x=\"1\",y=\"3\"} 4\na_totals 9\nb 5\n"
                .to_owned(),
        );
        for (name, series, labels, want) in [
            ("all", "a_total", &[][..], 7.0),
            ("by label", "a_total", &["x=\"1\"", "y=\"3\""], 4.0),
            ("without labels", "b", &[], 5.0),
            ("none", "c", &[], 0.0),
        ] {
            assert!((metrics.sum(series, labels) - want).abs() < 1e-9, "{name}");
        }
    }
}
