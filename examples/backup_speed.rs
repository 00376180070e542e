//! Writes one user's backup to standard output and says on standard error how fast that was, and for what memory.
//!
//! ```text
//! cargo run --release --example backup_speed -- DATA HANDLE | cat > /dev/null
//! tar cf - DATA/HANDLE | cat > /dev/null      # to compare with
//! ```
//!
//! The folder is opened as one to work on beside a server: it gets a `_system` if it has none.

use std::path::{Path, PathBuf};
use std::time::Instant;

use tavernkeep::store::archive::{BackupOptions, Progress, write_backup};
use tavernkeep::store::opening::Opening;
use tavernkeep::store::{Handle, Store, read_host_file};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(root), Some(handle)) = (arguments.next(), arguments.next()) else {
        return Err("usage: backup_speed DATA HANDLE".into());
    };
    let (store, _) = Store::open(&PathBuf::from(root), Opening { adopt: true, ..Opening::default() })?;
    let before = peak_memory();
    let started = Instant::now();
    let moment = store.moment(&Handle::parse(&handle)?)?;
    let walked = started.elapsed();
    let written = write_backup(&moment, BackupOptions::default(), std::io::stdout().lock(), &Progress::default())?;
    let seconds = started.elapsed().as_secs_f64();
    eprintln!(
        "{} files, {} MB in {seconds:.2} s ({:.0} MB/s), {walked:.0?} of it under the lock; peak memory +{} kB",
        written.files,
        written.bytes / 1_000_000,
        written.bytes as f64 / 1e6 / seconds,
        peak_memory().saturating_sub(before),
    );
    Ok(())
}

/// The most memory that this process has had, in kB; 0 where that cannot be read.
fn peak_memory() -> u64 {
    let status = read_host_file(Path::new("/proc/self/status"), 1 << 16).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
