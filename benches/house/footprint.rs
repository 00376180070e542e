//! What the house takes when nobody is in it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::content;
use crate::http;
use crate::process;
use crate::report::{Row, median};
use crate::server::{self, House, PEOPLE};

const STARTS: usize = 20;
/// What was only for a moment has been given back by then.
const IDLE: Duration = Duration::from_secs(10);

pub fn measure(house: &mut House) -> Result<Vec<Row>> {
    let starts = (0..STARTS).map(|_| start(house)).collect::<Result<Vec<f64>>>()?;
    be_busy(house)?;
    thread::sleep(IDLE);
    let memory = process::memory(house.pid(), "VmRSS")?;
    Ok(vec![
        Row::limited("memory when idle, after 30 people were there", memory, 25.0, "MB"),
        Row::limited("start to first answer, 30 people", median(&starts), 100.0, "ms"),
        Row::limited("the binary", server::size(&house.binary)?, 20.0, "MB"),
    ])
}

/// Milliseconds from starting the program to its first answer.
fn start(house: &mut House) -> Result<f64> {
    house.close()?;
    let started = Instant::now();
    house.open()?;
    http::ask(&mut http::connect(house.address)?, &http::request("GET", "/api/v1/house", &[], b""))?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// An evening in a minute: everyone signs in, looks around and saves.
fn be_busy(house: &House) -> Result<()> {
    let settings = content::settings()?;
    for n in 0..PEOPLE {
        let guest = house.sign_in(&server::handle(n), &server::password(n))?;
        for path in ["/", "/account", "/api/v1/me", "/api/users/me", "/api/v1/me/snapshots"] {
            house.ask(&guest, "GET", path, b"")?;
        }
        house.ask(&guest, "POST", "/api/settings/save", &settings)?;
        house.ask(&guest, "POST", "/api/settings/get", b"{}")?;
    }
    Ok(())
}
