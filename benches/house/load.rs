//! Two kinds of load: as much as goes, to see how much that is, and a steady trickle, to see how long one waits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http;
use crate::process;

/// What a round came to.
pub struct Round {
    /// Answers in a second.
    pub rate: f64,
    /// Microseconds of the server's processor time for one answer.
    pub cost: f64,
}

/// Sends each of `requests` over and over on a connection of its own, for so long. `pid` is the server's.
pub fn saturate(address: SocketAddr, pid: u32, requests: &[Vec<u8>], time: Duration) -> Result<Round> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut open = Vec::new();
        for request in requests {
            let stream = TcpStream::connect(address).await.context("could not connect")?;
            stream.set_nodelay(true)?;
            open.push((stream, Arc::new(request.clone())));
        }
        let (started, before) = (Instant::now(), process::seconds(pid));
        let tasks: Vec<_> =
            open.into_iter().map(|(stream, request)| tokio::spawn(repeat(stream, request, started + time))).collect();
        let mut answers = 0;
        for task in tasks {
            answers += task.await??;
        }
        let (elapsed, used) = (started.elapsed().as_secs_f64(), process::seconds(pid) - before);
        Ok(Round { rate: f64::from(answers) / elapsed, cost: used * 1e6 / f64::from(answers) })
    })
}

async fn repeat(mut stream: TcpStream, request: Arc<Vec<u8>>, until: Instant) -> Result<u32> {
    let mut buffer = vec![0; 64 * 1024];
    let mut answers = 0;
    while Instant::now() < until {
        stream.write_all(&request).await?;
        let mut filled = 0;
        loop {
            match stream.read(&mut buffer[filled..]).await? {
                0 => bail!("the server hung up: {}", String::from_utf8_lossy(&buffer[..filled])),
                n => filled += n,
            }
            if let Some((head, length)) = http::measure(&buffer[..filled])?
                && filled >= head + length
            {
                break;
            }
        }
        answers += 1;
    }
    Ok(answers)
}

/// Connections that the trickle is spread over.
const CONNECTIONS: u32 = 4;

/// Sends `request` so many times a second until told to stop. The answers' times, in milliseconds.
///
/// A request that cannot be sent in time, because the answer before it is late, counts from when it should have been sent.
pub fn trickle(address: SocketAddr, request: &[u8], per_second: u32, stop: &AtomicBool) -> Result<Vec<f64>> {
    let interval = Duration::from_secs(1) / per_second;
    let started = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|n| {
                scope.spawn(move || one_trickle(address, request, started + interval * n, interval * CONNECTIONS, stop))
            })
            .collect();
        let mut times = Vec::new();
        for thread in threads {
            times.extend(thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))??);
        }
        Ok(times)
    })
}

fn one_trickle(
    address: SocketAddr,
    request: &[u8],
    mut due: Instant,
    interval: Duration,
    stop: &AtomicBool,
) -> Result<Vec<f64>> {
    let mut stream = http::connect(address)?;
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let wait = due.saturating_duration_since(Instant::now());
        let sent = if wait.is_zero() {
            due
        } else {
            thread::sleep(wait);
            Instant::now()
        };
        http::ask(&mut stream, request)?;
        times.push(sent.elapsed().as_secs_f64() * 1e3);
        due += interval;
    }
    Ok(times)
}

/// The trickle for a fixed time.
pub fn trickle_for(address: SocketAddr, request: &[u8], per_second: u32, time: Duration) -> Result<Vec<f64>> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(time);
            stop.store(true, Ordering::Relaxed);
        });
        trickle(address, request, per_second, &stop)
    })
}
