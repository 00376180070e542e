//! A large backup, beside `tar`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::content;
use crate::http;
use crate::load;
use crate::process;
use crate::report::{Bound, Row, median, quantile};
use crate::server::{self, Guest, House};

const ROUNDS: usize = 5;
/// The one with the large folder.
const COLLECTOR: usize = 29;
const MB: f64 = 1e6;

pub fn measure(house: &House) -> Result<Vec<Row>> {
    let folder = house.user(COLLECTOR);
    content::fill(&folder)?;
    let mut bytes = 0.0;
    for entry in walkdir::WalkDir::new(&folder) {
        bytes += entry?.metadata()?.len() as f64;
    }
    let guest = house.sign_in(&server::handle(COLLECTOR), &server::password(COLLECTOR))?;
    let handle = server::handle(COLLECTOR);
    let tar = || {
        let mut tar = Command::new("tar");
        tar.arg("cf").arg("-").arg("-C").arg(house.data()).arg(&handle);
        through_a_pipe(tar)
    };
    let ours = || through_a_pipe(house.command(&["backup", &handle, "-o", "-"]));
    // The first ones only bring the files into memory.
    tar()?;
    ours()?;
    let (mut tars, mut commands, mut downloads, mut growth) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        tars.push(bytes / MB / tar()?);
        commands.push(bytes / MB / ours()?);
        let before = process::memory(house.pid(), "VmRSS")?;
        process::forget_peak(house.pid())?;
        downloads.push(bytes / MB / download(house, &guest)?);
        growth.push(process::memory(house.pid(), "VmHWM")? - before);
    }
    let least = Bound::AtLeast(0.6);
    let mut rows = vec![
        Row::paired("backup of 2 GiB to a pipe, beside tar", &commands, &tars, "MB/s", least, |ours, tar| ours / tar),
        Row::paired("the same over HTTP, beside tar", &downloads, &tars, "MB/s", least, |ours, tar| ours / tar),
        Row::limited(
            "memory that a download takes",
            growth.iter().copied().fold(0.0, f64::max),
            32.0 * 1.048_576,
            "MB",
        ),
    ];
    rows.push(stall(house, &guest)?);
    Ok(rows)
}

/// Seconds that a program takes to write all it has through `cat` to nowhere.
fn through_a_pipe(mut program: Command) -> Result<f64> {
    let started = Instant::now();
    let mut writer = program.stdout(Stdio::piped()).spawn()?;
    let pipe = writer.stdout.take().context("no pipe")?;
    let mut reader = Command::new("cat").stdin(pipe).stdout(Stdio::null()).spawn()?;
    ensure!(writer.wait()?.success() & reader.wait()?.success(), "{program:?} failed");
    Ok(started.elapsed().as_secs_f64())
}

/// Seconds that a whole download takes.
fn download(house: &House, guest: &Guest) -> Result<f64> {
    let started = Instant::now();
    let mut stream = begin_download(house, guest)?;
    let (mut buffer, mut total, mut end) = (vec![0; 256 * 1024], 0, Vec::new());
    // The last chunk of a chunked body is an empty one.
    while !end.ends_with(b"0\r\n\r\n") {
        let n = stream.read(&mut buffer)?;
        ensure!(n > 0, "the download was cut off");
        total += n as u64;
        end.extend_from_slice(&buffer[n.saturating_sub(5)..n]);
        end.drain(..end.len().saturating_sub(5));
    }
    ensure!(total >= content::PICTURES, "the download is too small");
    Ok(started.elapsed().as_secs_f64())
}

fn begin_download(house: &House, guest: &Guest) -> Result<TcpStream> {
    let body = format!("{{\"handle\":\"{}\"}}", server::handle(COLLECTOR));
    let mut stream = http::connect(house.address)?;
    stream.write_all(&guest.request("POST", "/api/users/backup", body.as_bytes()))?;
    Ok(stream)
}

const STALL_ROUNDS: usize = 5;
const STALL: Duration = Duration::from_secs(4);
const PER_SECOND: u32 = 200;

/// What others wait while one client takes 64 KiB of a backup and then nothing more.
fn stall(house: &House, guest: &Guest) -> Result<Row> {
    let request = guest.request("GET", "/api/users/me", b"");
    let trickle =
        || -> Result<f64> { Ok(quantile(&load::trickle_for(house.address, &request, PER_SECOND, STALL)?, 0.99)) };
    let (mut quiet, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..STALL_ROUNDS {
        quiet.push(trickle()?);
        let mut stalled = begin_download(house, guest)?;
        stalled.read_exact(&mut vec![0; 64 * 1024])?;
        beside.push(trickle()?);
    }
    ensure!(median(&quiet) > 0.0, "no answers");
    let what = "p99 of /api/users/me beside a stalled download";
    Ok(Row::paired(what, &beside, &quiet, "ms", Bound::AtMost(2.0), |beside, quiet| beside / quiet))
}
