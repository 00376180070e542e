//! The one way from asynchronous code to code that waits for the disk.

use crate::error::{Error, Result};

/// Runs `work` where waiting is fine. It runs to its end even if the caller goes away: what is being written gets written.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

/// Lowers the priority of this thread, on Unix's scale of 0 to 19; a system that refuses just has no such priority.
pub fn stand_back(niceness: i32) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), niceness) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
}
