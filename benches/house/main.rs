//! The house under load, each figure beside a limit or a peer that is measured in the same run.
//!
//! ```text
//! scripts/bench                  # everything
//! scripts/bench read save        # some sections; main.rs names them all
//! ```
//!
//! The peers are this same executable, started as a child: a bare hyper server with our runtime and our connection
//! settings that does the least that could be called the same work. Rounds alternate, medians are compared, and the run
//! fails only where a bound is clearly missed, so that a busy machine does not fail it.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark is no part of the server: it makes and reads files as it likes"
)]

mod backup;
mod bare;
mod cards;
mod chats;
mod content;
mod footprint;
mod http;
mod load;
mod process;
mod report;
mod requests;
mod search;
mod server;
mod sign_in;
mod talk;

use std::process::ExitCode;

use anyhow::Result;

use report::{Noise, Report};
use server::House;

const SECTIONS: [&str; 9] = ["footprint", "read", "save", "backup", "sign-in", "cards", "chats", "talk", "search"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [bare::FLAG, what @ ..] => bare::serve(what).map(|()| true),
        [sign_in::SPIN_FLAG] => loop {
            std::hint::spin_loop();
        },
        sections => measure(sections),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints; whether no bound is clearly missed.
fn measure(words: &[&str]) -> Result<bool> {
    // cargo adds a flag of its own.
    let wanted: Vec<&str> = words.iter().copied().filter(|word| *word != "--bench").collect();
    if let Some(unknown) = wanted.iter().find(|word| !SECTIONS.contains(word)) {
        anyhow::bail!("There is no section {unknown}; there are {}.", SECTIONS.join(", "));
    }
    let mut report = Report::default();
    let mut house = House::found()?;
    for section in SECTIONS.into_iter().filter(|section| wanted.is_empty() || wanted.contains(section)) {
        eprintln!("{section} …");
        let noise = Noise::start();
        let rows = match section {
            "footprint" => footprint::measure(&mut house),
            "read" => requests::measure_reads(&house),
            "save" => requests::measure_saves(&house),
            "backup" => backup::measure(&house),
            "chats" => chats::measure(&house),
            "search" => search::measure(&house),
            "cards" => cards::measure(&mut house),
            "talk" => talk::measure(&House::found_with(talk::CONFIG)?),
            _ => sign_in::measure(&house),
        }?;
        report.add(rows, noise.others());
    }
    drop(house);
    print!("{report}");
    Ok(report.is_good())
}
