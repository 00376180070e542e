//! A chat of 100 MB beside an empty one: adding a message costs the same, and its last screen is there at once.

use std::fs;
use std::io::{BufWriter, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::http;
use crate::report::{Bound, Row, median, quantile};
use crate::server::{self, Guest, House};

const SIZE: usize = 100_000_000;
/// Whose folder they are in.
const PERSON: usize = 1;
const ROUNDS: usize = 7;
const APPENDS: usize = 60;
const OPENED: usize = 60;
const HEADER: &str = r#"{"chat_metadata":{},"user_name":"unused","character_name":"unused"}"#;

pub fn measure(house: &House) -> Result<Vec<Row>> {
    let folder = house.user(PERSON).join("chats/Ada");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("empty.jsonl"), HEADER)?;
    fill(&folder.join("large.jsonl"))?;
    let guest = house.sign_in(&server::handle(PERSON), &server::password(PERSON))?;

    let first = opened(house, &guest)?;
    let mut later = Vec::new();
    for _ in 0..OPENED {
        later.push(opened(house, &guest)?);
    }
    let (mut large, mut empty) = (Chat::open(house, &guest, "large")?, Chat::open(house, &guest, "empty")?);
    let (mut ours, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // By turns, so that whatever else the disk does is shared.
        let (mut of_large, mut of_empty) = (Vec::new(), Vec::new());
        for _ in 0..APPENDS {
            of_large.push(large.append(house, &guest)?);
            of_empty.push(empty.append(house, &guest)?);
        }
        ours.push(median(&of_large));
        beside.push(median(&of_empty));
    }
    fs::remove_dir_all(&folder)?;
    Ok(vec![
        Row::limited("chat of 100 MB: its last screen, first time after a start", first, 50.0, "ms"),
        Row::limited("chat of 100 MB: its last screen, median", median(&later), 50.0, "ms"),
        Row::limited("chat of 100 MB: its last screen, slowest of 60", quantile(&later, 1.0), 50.0, "ms"),
        Row::paired(
            "a message to a chat of 100 MB, beside an empty one",
            &ours,
            &beside,
            "ms",
            Bound::AtMost(1.2),
            |ours, peer| ours / peer,
        ),
    ])
}

/// Milliseconds until the last 60 messages are there, as markup.
fn opened(house: &House, guest: &Guest) -> Result<f64> {
    let started = Instant::now();
    let answer = house.ask(guest, "GET", "/api/v1/chats/Ada/large?limit=60", b"")?;
    let took = started.elapsed().as_secs_f64() * 1e3;
    let chat: Value = serde_json::from_slice(&answer.body)?;
    ensure!(chat["messages"].as_array().is_some_and(|messages| messages.len() == 60), "the screen is not full");
    Ok(took)
}

struct Chat {
    name: &'static str,
    version: String,
    stream: TcpStream,
}

impl Chat {
    fn open(house: &House, guest: &Guest, name: &'static str) -> Result<Self> {
        let answer = house.ask(guest, "GET", &format!("/api/v1/chats/Ada/{name}?limit=1"), b"")?;
        let chat: Value = serde_json::from_slice(&answer.body)?;
        let version = chat["version"].as_str().context("no version")?.to_owned();
        Ok(Self { name, version, stream: http::connect(house.address)? })
    }

    /// Milliseconds until a message is on the disk.
    fn append(&mut self, _house: &House, guest: &Guest) -> Result<f64> {
        let body = json!({ "version": self.version, "text": "What a person says in a line or two, so that it is of usual length." });
        let path = format!("/api/v1/chats/Ada/{}/messages", self.name);
        let request = guest.request("POST", &path, body.to_string().as_bytes());
        let started = Instant::now();
        let answer = http::ask(&mut self.stream, &request)?;
        let took = started.elapsed().as_secs_f64() * 1e3;
        let said: Value = serde_json::from_slice(&answer.body)?;
        self.version = said["version"].as_str().with_context(|| format!("not added: {said}"))?.to_owned();
        Ok(took)
    }
}

fn fill(path: &Path) -> Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    let words = "She put the kettle on, *slowly*, and said: \"**Listen.** There is `no` hurry.\" ".repeat(12);
    write!(file, "{HEADER}")?;
    let mut written = HEADER.len();
    for n in 0.. {
        if written >= SIZE {
            break;
        }
        let is_user = n % 2 == 0;
        let line = json!({ "name": if is_user { "User" } else { "Ada" }, "is_user": is_user, "is_system": false,
            "send_date": "2026-11-22T03:42:56.980Z", "mes": format!("{n}: {words}"), "extra": {} });
        let line = format!("\n{line}");
        file.write_all(line.as_bytes())?;
        written += line.len();
    }
    file.into_inner()?.sync_all()?;
    Ok(())
}
