//! What the system tells of processes: Linux's `/proc`.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Ticks of `/proc` in a second, on every Linux in use.
const TICKS: f64 = 100.0;

/// A child that ends with its owner.
pub struct Running(pub Child);

impl Running {
    /// Starts this executable again, to be something else.
    pub fn myself(arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        Ok(Self(command.spawn().context("could not start a peer")?))
    }

    /// Asks it to stop, and waits for it.
    pub fn stop(mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A line of `/proc/PID/status`, in MB.
pub fn memory(pid: u32, line: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kb: f64 = status
        .lines()
        .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))
        .and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
        .with_context(|| format!("{line} is not told"))?;
    Ok(kb * 1024.0 / 1e6)
}

/// Starts the count of a process's highest memory (`VmHWM`) anew.
pub fn forget_peak(pid: u32) -> Result<()> {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").context("the peak of memory cannot be reset")
}

/// Seconds of processor time that a process has used.
pub fn seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    Stat::parse(&stat).map_or(0.0, |stat| stat.own)
}

/// The machine's processor time so far, in seconds.
pub struct Machine {
    pub busy: f64,
    pub total: f64,
}

pub fn machine() -> Machine {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    // user nice system idle iowait irq softirq steal; what follows is counted in the first two already.
    let fields: Vec<f64> = line.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
    let total: f64 = fields.iter().sum();
    let idle: f64 = fields.iter().skip(3).take(2).sum();
    Machine { busy: (total - idle) / TICKS, total: total / TICKS }
}

/// Seconds of processor time that this process and all below it have used, those that have ended included.
pub fn family_seconds() -> f64 {
    let mut by_parent: HashMap<u32, Vec<(u32, f64)>> = HashMap::new();
    let mut mine = 0.0;
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let text = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some(stat) = Stat::parse(&text) else { continue };
        by_parent.entry(stat.parent).or_default().push((pid, stat.own + stat.ended_children));
        if pid == std::process::id() {
            mine = stat.own + stat.ended_children;
        }
    }
    let (mut sum, mut open) = (mine, vec![std::process::id()]);
    while let Some(pid) = open.pop() {
        for (child, seconds) in by_parent.get(&pid).into_iter().flatten() {
            sum += seconds;
            open.push(*child);
        }
    }
    sum
}

struct Stat {
    parent: u32,
    own: f64,
    ended_children: f64,
}

impl Stat {
    /// The name, the second field, may hold anything; the others follow its last bracket.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: (number(11)? + number(12)?) / TICKS,
            ended_children: (number(13)? + number(14)?) / TICKS,
        })
    }
}
