//! A read and a write, as many as go, beside a bare hyper server's.

use std::time::Duration;

use anyhow::Result;

use crate::bare::Bare;
use crate::content;
use crate::http;
use crate::load::{self, Round};
use crate::report::{Bound, Row};
use crate::server::{self, House};

const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 7;
const READERS: usize = 32;
const WRITERS: usize = 16;

/// `GET /api/users/me` beside a server that has the answer at hand.
pub fn measure_reads(house: &House) -> Result<Vec<Row>> {
    let guest = house.sign_in(&server::handle(0), &server::password(0))?;
    let request = guest.request("GET", "/api/users/me", b"");
    let answer = http::ask(&mut http::connect(house.address)?, &request)?;
    let peer = Bare::start(&answer, &house.beside("peer")?, None)?;
    let requests = vec![request; READERS];
    let rounds = alternate(house, &requests, &peer, &requests)?;
    Ok(rows("GET /api/users/me", Bound::AtLeast(0.7), &rounds))
}

/// `POST /api/settings/save` beside a server that writes, syncs and renames the same file, and no more.
pub fn measure_saves(house: &House) -> Result<Vec<Row>> {
    let settings = content::settings()?;
    let (folder, mut ours, mut theirs, mut answer) = (house.beside("peer")?, Vec::new(), Vec::new(), None);
    for n in 0..WRITERS {
        let guest = house.sign_in(&server::handle(n), &server::password(n))?;
        let request = guest.request("POST", "/api/settings/save", &settings);
        // Also makes the snapshot that comes with the first save.
        answer = Some(http::ask(&mut http::connect(house.address)?, &request)?);
        ours.push(request);
        theirs.push(http::request("POST", &format!("/{}", server::handle(n)), &[], &settings));
    }
    let Some(answer) = answer else { return Ok(Vec::new()) };
    let saved = std::fs::read(house.user(0).join("settings.json"))?;
    // Into the same folders: what a file system asks for a new file depends on where it is.
    let peer = Bare::start(&answer, &folder, Some((&saved, &house.data())))?;
    let rounds = alternate(house, &ours, &peer, &theirs)?;
    Ok(rows(&format!("POST /api/settings/save, {} kB", settings.len() / 1000), Bound::AtLeast(0.8), &rounds))
}

type Rounds = (Vec<Round>, Vec<Round>);

/// Rounds of ours and of the peer's by turns, after one of each that does not count.
fn alternate(house: &House, ours: &[Vec<u8>], peer: &Bare, theirs: &[Vec<u8>]) -> Result<Rounds> {
    let our_round = |time| load::saturate(house.address, house.pid(), ours, time);
    let their_round = |time| load::saturate(peer.address, peer.running.0.id(), theirs, time);
    let warm = ROUND / 3;
    our_round(warm)?;
    their_round(warm)?;
    let mut rounds = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        rounds.0.push(our_round(ROUND)?);
        rounds.1.push(their_round(ROUND)?);
    }
    Ok(rounds)
}

fn rows(what: &str, bound: Bound, (ours, theirs): &Rounds) -> Vec<Row> {
    let of = |rounds: &[Round], value: fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
    let rates = (of(ours, |round| round.rate), of(theirs, |round| round.rate));
    let costs = (of(ours, |round| round.cost), of(theirs, |round| round.cost));
    vec![
        Row::paired(what, &rates.0, &rates.1, "/s", bound, |ours, peer| ours / peer),
        Row::paired("– processor time for one", &costs.0, &costs.1, "µs", Bound::None, |ours, peer| ours / peer),
    ]
}
