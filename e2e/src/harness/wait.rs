//! Patience with a limit.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

/// Time between two looks at what is awaited.
const INTERVAL: Duration = Duration::from_millis(100);

/// Looks until `look` succeeds, and returns what it found. What is not yet as it should be is an error of `look`.
///
/// # Errors
/// When `look` has not succeeded within `limit`; the message holds `what` was awaited and the last error.
pub async fn eventually<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let mut last: Option<anyhow::Error> = None;
    loop {
        let left = limit.saturating_sub(start.elapsed());
        match tokio::time::timeout(left, look()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => last = Some(error),
            Err(_elapsed) => {}
        }
        if start.elapsed() + INTERVAL >= limit {
            let last = last.unwrap_or_else(|| anyhow!("the first look did not end"));
            return Err(last).with_context(|| format!("waited {limit:?} for this, in vain: {what}"));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    #[tokio::test]
    async fn looks_again_until_it_is_there() {
        let mut looks = 0;
        let found = eventually(Duration::from_secs(5), "the third look", async || {
            looks += 1;
            ensure!(looks == 3, "look {looks}");
            Ok(looks)
        });
        assert_eq!(found.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn tells_the_last_observation() {
        let limit = Duration::from_millis(250);
        let error = eventually::<()>(limit, "a wonder", async || Err(anyhow!("still 5 pods"))).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "waited 250ms for this, in vain: a wonder: still 5 pods");
        let stuck = eventually::<()>(limit, "a wonder", async || std::future::pending().await).await.unwrap_err();
        assert!(format!("{stuck:#}").ends_with("the first look did not end"), "{stuck:#}");
    }
}
