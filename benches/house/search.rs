//! Search as one types, over the chats of years.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::process;
use crate::report::{Row, median, quantile};
use crate::server::{self, Guest, House};

/// The one who has said so much.
const TALKER: usize = 28;
/// Megabytes of chats, unless SEARCH_MB says otherwise.
const MEGABYTES: u64 = 200;
const CHAT: u64 = 5_000_000;
const WORDS: usize = 40_000;
/// What is typed, letter by letter.
const TYPED: [&str; 4] = ["the dragon sleeps", "winter morning", "\"under the\" bridge", "zimt"];
const LONGEST: Duration = Duration::from_secs(1800);

pub fn measure(house: &House) -> Result<Vec<Row>> {
    let megabytes = std::env::var("SEARCH_MB").ok().and_then(|size| size.parse().ok()).unwrap_or(MEGABYTES);
    write_chats(&house.user(TALKER).join("chats"), megabytes * 1_000_000)?;
    let guest = house.sign_in(&server::handle(TALKER), &server::password(TALKER))?;
    let before = process::memory(house.pid(), "VmRSS")?;
    process::forget_peak(house.pid())?;
    let started = Instant::now();
    while ask(house, &guest, "dragon")?.1.get("indexing").is_some() {
        ensure!(started.elapsed() < LONGEST, "the index is never done");
        thread::sleep(Duration::from_millis(200));
    }
    let speed = megabytes as f64 / started.elapsed().as_secs_f64();
    let growth = process::memory(house.pid(), "VmHWM")? - before;
    // Parts of the index are still being put together.
    thread::sleep(Duration::from_secs(3));
    let times = type_all(house, &guest)?;
    Ok(vec![
        Row::limited(&format!("a keystroke over {megabytes} MB of chats, median"), median(&times), 100.0, "ms"),
        Row::limited("the same, the slowest of a hundred", quantile(&times, 0.99), 100.0, "ms"),
        Row::limited("a message that was just said is found, with its search", said(house, &guest)?, 1000.0, "ms"),
        Row::told("chats that are put into the index in a second", speed, "MB"),
        Row::told("memory that the making of the index takes, pages of it included", growth, "MB"),
        Row::told("the index, in hundredths of the chats", index_size(house)? / megabytes as f64 * 100.0, "%"),
    ])
}

/// Milliseconds of every keystroke.
fn type_all(house: &House, guest: &Guest) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for text in TYPED.repeat(3) {
        for end in 1..=text.len() {
            times.push(ask(house, guest, &text[..end])?.0);
        }
    }
    Ok(times)
}

/// Milliseconds from saying something to having found it.
fn said(house: &House, guest: &Guest) -> Result<f64> {
    let path = house.user(TALKER).join("chats/Character 0/chat 0.jsonl");
    let mut file = fs::OpenOptions::new().append(true).open(path)?;
    let started = Instant::now();
    writeln!(file, "\n{}", json!({"name": "Ada", "is_user": true, "mes": "xylophonist"}))?;
    while ask(house, guest, "xylophonist")?.1["hits"].as_array().is_none_or(Vec::is_empty) {
        ensure!(started.elapsed() < Duration::from_secs(30), "what was said is never found");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn ask(house: &House, guest: &Guest, typed: &str) -> Result<(f64, Value)> {
    let query: String = typed.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let started = Instant::now();
    let answer = house.ask(guest, "GET", &format!("/api/v1/search?q={query}"), b"")?;
    let time = started.elapsed().as_secs_f64() * 1e3;
    Ok((time, serde_json::from_slice(&answer.body).context("no JSON")?))
}

fn index_size(house: &House) -> Result<f64> {
    let folder = house.data().join("_system/search").join(server::handle(TALKER));
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes as f64 / 1e6)
}

/// Chats of words that are as frequent as words are: the n-th an n-th as often as the first.
fn write_chats(folder: &Path, bytes: u64) -> Result<()> {
    let words = words();
    let mut chance = 7u64;
    for nth in 0..bytes.div_ceil(CHAT) {
        let folder = folder.join(format!("Character {}", nth % 20));
        fs::create_dir_all(&folder)?;
        let mut file = BufWriter::new(fs::File::create(folder.join(format!("chat {nth}.jsonl")))?);
        let mut written = 0;
        file.write_all(br#"{"chat_metadata":{},"user_name":"unused","character_name":"unused"}"#)?;
        for message in 0.. {
            if written > CHAT {
                break;
            }
            let text: Vec<&str> = (0..20 + number(&mut chance) % 120).map(|_| pick(&words, &mut chance)).collect();
            let date = format!(
                "2026-{:02}-{:02}T10:{:02}:{:02}.000Z",
                nth % 12 + 1,
                nth % 28 + 1,
                message / 60 % 60,
                message % 60
            );
            let line = json!({"name": "Ada", "is_user": message % 2 == 0, "is_system": false, "send_date": date,
                "mes": text.join(" "), "extra": {}});
            let line = format!("\n{line}");
            file.write_all(line.as_bytes())?;
            written += line.len() as u64;
        }
        file.flush()?;
    }
    Ok(())
}

fn words() -> Vec<String> {
    let mut words: Vec<String> =
        ["the", "and", "under", "winter", "dragon", "sleeps", "morning", "bridge"].map(str::to_owned).into();
    let syllables =
        ["ba", "de", "fi", "go", "lu", "mar", "nes", "tor", "wi", "zim", "ka", "per", "sto", "dra", "the", "un"];
    let mut chance = 3;
    while words.len() < WORDS {
        let count = 1 + number(&mut chance) % 4;
        words.push((0..count).map(|_| syllables[number(&mut chance) as usize % syllables.len()]).collect());
    }
    words
}

fn pick<'w>(words: &'w [String], chance: &mut u64) -> &'w str {
    let point = (number(chance) % 1_000_000) as f64 / 1e6;
    let rank = (words.len() as f64).powf(point) as usize - 1;
    &words[rank.min(words.len() - 1)]
}

fn number(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}
