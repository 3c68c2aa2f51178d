//! What processes use in the course of time.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use e2e::harness::{Process, Usage};

/// Descriptors that come and go with connections: one more at the moment of a look is no leak.
const DESCRIPTORS: usize = 8;

/// A process, and what it used at each look.
pub(crate) struct Watched {
    name: &'static str,
    process: Process,
    usages: Vec<Usage>,
}

impl Watched {
    pub(crate) fn new(name: &'static str, process: Process) -> Self {
        Self { name, process, usages: Vec::new() }
    }

    /// The median of what `of` reads in a quarter of the time, 0 to 3.
    fn quarter<T: Ord + Copy + Default>(&self, quarter: usize, of: impl Fn(&Usage) -> T) -> T {
        let length = self.usages.len() / 4;
        let mut values: Vec<T> = self.usages[quarter * length..(quarter + 1) * length].iter().map(of).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or_default()
    }
}

/// What several processes used.
pub(crate) struct Course<const N: usize> {
    start: Instant,
    watched: [Watched; N],
}

impl<const N: usize> Course<N> {
    pub(crate) fn new(watched: [Watched; N]) -> Self {
        Self { start: Instant::now(), watched }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Looks at all.
    pub(crate) fn look(&mut self) -> Result<()> {
        for watched in &mut self.watched {
            watched.usages.push(watched.process.usage()?);
        }
        Ok(())
    }

    /// The last look.
    pub(crate) fn latest(&self) -> String {
        let mut text = format!("{:4} s", self.elapsed().as_secs());
        for watched in &self.watched {
            let usage = watched.usages.last().copied().unwrap_or_default();
            let _ = write!(
                text,
                "; {} {} KiB, {} descriptors, {} threads",
                watched.name,
                usage.resident_bytes / 1024,
                usage.descriptors,
                usage.threads
            );
        }
        text
    }

    /// The quarters of the time, by their medians.
    pub(crate) fn summary(&self) -> String {
        let mut text = "medians of the four quarters".to_owned();
        for watched in &self.watched {
            let quarters = [0, 1, 2, 3];
            let memory = quarters.map(|quarter| watched.quarter(quarter, |usage| usage.resident_bytes) / 1024);
            let descriptors = quarters.map(|quarter| watched.quarter(quarter, |usage| usage.descriptors));
            let threads = quarters.map(|quarter| watched.quarter(quarter, |usage| usage.threads));
            let _ = write!(
                text,
                "\n{}: resident KiB {memory:?}, descriptors {descriptors:?}, threads {threads:?}",
                watched.name
            );
        }
        text
    }

    /// Expects that in the last quarter nothing was more than in the second: memory by a share, the rest at all.
    pub(crate) fn has_grown_by_less_than(&self, share: f64) -> Result<()> {
        for watched in &self.watched {
            let memory = |quarter| watched.quarter(quarter, |usage| usage.resident_bytes) as f64;
            let descriptors = |quarter| watched.quarter(quarter, |usage| usage.descriptors);
            let threads = |quarter| watched.quarter(quarter, |usage| usage.threads);
            let name = watched.name;
            ensure!(memory(3) <= memory(1) * (1.0 + share), "{name}: memory grows: {}", self.summary());
            ensure!(descriptors(3) <= descriptors(1) + DESCRIPTORS, "{name}: descriptors leak: {}", self.summary());
            ensure!(threads(3) <= threads(1), "{name}: threads leak: {}", self.summary());
        }
        Ok(())
    }
}
