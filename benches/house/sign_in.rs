//! Many who sign in at once, and what the others feel of it.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::http;
use crate::load;
use crate::process::Running;
use crate::report::{Bound, Row, quantile};
use crate::server::{self, House, PEOPLE};

pub const SPIN_FLAG: &str = "--spin";

const CROWD: usize = 100;
const ROUNDS: usize = 3;
const QUIET: Duration = Duration::from_secs(6);
const PER_SECOND: u32 = 200;
/// Sign-ins one after the other beside a busy program.
const PATIENT: usize = 5;

pub fn measure(house: &House) -> Result<Vec<Row>> {
    let guest = house.sign_in(&server::handle(0), &server::password(0))?;
    let request = guest.request("GET", "/api/users/me", b"");
    let (mut quiet, mut beside, mut crowds) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        quiet.push(quantile(&load::trickle_for(house.address, &request, PER_SECOND, QUIET)?, 0.99));
        let (times, took) = beside_a_crowd(house, &request)?;
        beside.push(quantile(&times, 0.99));
        crowds.push(took);
    }
    let alone = patiently(house)?;
    let busy = {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let _spinning = (0..cores).map(|_| Running::myself(&[SPIN_FLAG])).collect::<Result<Vec<_>>>()?;
        patiently(house)?
    };
    let ratio = |ours: f64, peer: f64| ours / peer;
    let what = "p99 of /api/users/me beside 100 sign-ins";
    Ok(vec![
        Row::paired(what, &beside, &quiet, "ms", Bound::AtMost(2.0), ratio),
        Row::paired("– until all 100 are in, beside one sign-in", &crowds, &alone, "s", Bound::None, ratio),
        Row::limited("slowest sign-in while another program keeps all cores busy", quantile(&busy, 1.0), 3.0, "s"),
        Row::paired("– the usual one, beside one on a quiet machine", &busy, &alone, "s", Bound::None, ratio),
    ])
}

/// The trickle's times while a crowd signs in, and the seconds until all are in.
fn beside_a_crowd(house: &House, request: &[u8]) -> Result<(Vec<f64>, f64)> {
    let visitor = house.visitor(&mut http::connect(house.address)?)?;
    let (all_in, together) = (AtomicBool::new(false), Barrier::new(CROWD + 1));
    thread::scope(|scope| {
        let sign_ins: Vec<_> = (0..CROWD)
            .map(|n| {
                let request = visitor.sign_in_request(&server::handle(n % PEOPLE), &server::password(n % PEOPLE));
                let together = &together;
                scope.spawn(move || {
                    let stream = http::connect(house.address);
                    together.wait();
                    http::ask(&mut stream?, &request).map(drop)
                })
            })
            .collect();
        let trickle = scope.spawn(|| load::trickle(house.address, request, PER_SECOND, &all_in));
        together.wait();
        let started = Instant::now();
        let results: Vec<_> = sign_ins.into_iter().map(|sign_in| sign_in.join()).collect();
        let took = started.elapsed().as_secs_f64();
        all_in.store(true, Ordering::Relaxed);
        let panicked = |_| anyhow::anyhow!("a client panicked");
        for result in results {
            result.map_err(panicked)??;
        }
        Ok((trickle.join().map_err(panicked)??, took))
    })
}

/// Seconds of each of some sign-ins, one after the other.
fn patiently(house: &House) -> Result<Vec<f64>> {
    let mut stream = http::connect(house.address)?;
    let visitor = house.visitor(&mut stream)?;
    let sign_in = |n: usize| {
        let started = Instant::now();
        http::ask(&mut stream, &visitor.sign_in_request(&server::handle(n), &server::password(n)))?;
        Ok(started.elapsed().as_secs_f64())
    };
    (0..PATIENT).map(sign_in).collect()
}
