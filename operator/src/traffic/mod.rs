//! Statistics of the sidecars: reports in, sliding windows, aggregates out.
//!
//! # From a report to a row
//! A proxy reports totals that only grow while its process lives. [`decode`] turns a report into [`Report`] or refuses it
//! whole. [`Store`] keeps, for each process, a ring of points (uptime, totals) as long as the window needs. The window of a
//! process is its newest point minus the point nearest to [`WINDOW`] before it; [`View`] adds the windows of all processes up
//! to rows. Counts are summed and histogram buckets merged; percentiles come last and are never averaged.
//!
//! # What counts
//! | case | window |
//! |---|---|
//! | the process is younger than the window | from zero, the totals a process starts with |
//! | the operator restarted, the process is older than the window | the first report is only where counting begins: nothing is invented |
//! | an edge is not in a report | unchanged |
//! | an edge appears later | it was zero before, because the first report of a stream names every edge |
//! | the pod has a new process | it starts anew; what the old one still had in the window counts until it leaves it |
//! | a proxy is silent | its window is shown unchanged for two intervals, then shrinks, and is gone after [`WINDOW`] more |
//! | no point near enough to the window's begin | counting begins at the next point, so that a row never covers more than [`WINDOW`] and two intervals |
//!
//! # What a row means
//! The *own row* of a resource is the traffic that it received, as its own sidecars saw it: edge `from`, side `server`, with a
//! blank resource, which the specification reads as everything received. *Edges* are always seen by the client's sidecars,
//! because only they know both ends: a row `to` each peer from the resource's own outbound totals, and a row `from` each
//! source whose outbound totals name the resource. An edge is one row for each pair of resources, as the specification defines
//! it, whatever Services, ports and splits the requests took; the roots they were addressed to are kept beside it.
//!
//! A peer that has no workload (outside the cluster, or nobody answered) has no name to put into an edge, and a Service in its
//! place would claim more than was seen. Such requests are in the row `to` a blank resource, which stands for everything sent
//! and is made only where the named peers are not everything. An edge without any traffic in the window is no edge.
//!
//! `backend` of a `TrafficMetrics` belongs to the rows of a `TrafficSplit`, of which there is one for each backend; rows of
//! workloads and pods carry none. [`View::split`] has the totals of each backend.

mod ingest;
mod instance;
mod latency;
mod report;
mod store;
mod totals;
mod view;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use ingest::{Ingest, IngestError};
pub use latency::{Histogram, latency_bounds};
pub use report::{Direction, EdgeKey, InvalidEdge, InvalidReport, Report, SplitRef, decode};
pub use store::{RecordError, Source, Store};
pub use totals::Totals;
pub use view::{Flow, Traffic, View};

/// Time that a `TrafficMetrics` row covers.
///
/// Source: smi-spec `traffic-metrics/v1alpha1`, field `window`, whose examples use 30s.
pub const WINDOW: Duration = Duration::from_secs(30);

/// Time between two reports of a proxy; a sixth of [`WINDOW`], so that a window ends at most so long ago.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Time that a proxy may be silent before its window begins to shrink: one report may be lost.
const GRACE: Duration = Duration::from_secs(2 * REPORT_INTERVAL.as_secs());

/// Age at which traffic is not shown any more.
const HORIZON: Duration = Duration::from_secs(WINDOW.as_secs() + GRACE.as_secs());
