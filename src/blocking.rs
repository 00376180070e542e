//! The one way from asynchronous code to code that waits for the disk.

use crate::error::{Error, Result};

/// Runs `work` where waiting is fine. It runs to its end even if the caller goes away: what is being written gets written.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}
