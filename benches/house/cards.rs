//! A person with 20,000 characters: the first page of their list, warm and from a cold start.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::process;
use crate::report::{Row, median, quantile};
use crate::server::{self, House};

const CARDS: usize = 20_000;
/// Every so many cards have a chat.
const TALKED_TO: usize = 8;
/// Whose folder it is.
const PERSON: usize = 0;
const PAGE: &str = "/api/v1/characters";
const ASKED: usize = 60;
const PICTURE: &[u8] = include_bytes!("../../src/library/characters/blank.png");

pub fn measure(house: &mut House) -> Result<Vec<Row>> {
    let user = house.user(PERSON);
    fill(&user)?;
    let index = house.data().join("_system/index");
    let unknown = cold(house, || Ok(fs::remove_dir_all(&index).or_else(absent_is_fine)?))?;
    let known = cold(house, || Ok(()))?;
    let guest = house.sign_in(&server::handle(PERSON), &server::password(PERSON))?;
    let mut warm = Vec::new();
    for n in 0..ASKED {
        // The last ones are asked as somebody types.
        let path = if n.is_multiple_of(3) { format!("{PAGE}?q=harbour+{n}&sort=name") } else { PAGE.to_owned() };
        let started = Instant::now();
        house.ask(&guest, "GET", &path, b"")?;
        warm.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let memory = process::memory(house.pid(), "VmRSS")?;
    for folder in ["characters", "chats"] {
        fs::remove_dir_all(user.join(folder))?;
        fs::create_dir(user.join(folder))?;
    }
    Ok(vec![
        Row::limited("20,000 cards: a page of the list, warm, median", median(&warm), 50.0, "ms"),
        Row::told("20,000 cards: a page of the list, warm, slowest of 60", quantile(&warm, 1.0), "ms"),
        Row::limited("20,000 cards: first page after a start, index kept", known, 2000.0, "ms"),
        Row::limited("20,000 cards: first page after a start, every card read", unknown, 2000.0, "ms"),
        Row::limited("20,000 cards: memory afterwards", memory, 120.0, "MB"),
    ])
}

/// Milliseconds until somebody who is signed in sees the first page, after a start.
fn cold(house: &mut House, prepare: impl FnOnce() -> Result<()>) -> Result<f64> {
    house.close()?;
    prepare()?;
    house.open()?;
    let guest = house.sign_in(&server::handle(PERSON), &server::password(PERSON))?;
    let started = Instant::now();
    let answer = house.ask(&guest, "GET", PAGE, b"")?;
    let took = started.elapsed().as_secs_f64() * 1e3;
    let all = format!("\"total\":{CARDS}");
    ensure!(String::from_utf8_lossy(&answer.body).contains(&all), "the list is not whole");
    Ok(took)
}

fn absent_is_fine(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn fill(user: &Path) -> Result<()> {
    fs::create_dir_all(user.join("characters"))?;
    let end = PICTURE.len() - 12;
    for n in 0..CARDS {
        let text = STANDARD.encode(card(n));
        let mut file = PICTURE[..end].to_vec();
        for keyword in ["chara", "ccv3"] {
            let data = [keyword.as_bytes(), b"\0", text.as_bytes()].concat();
            file.extend_from_slice(&(data.len() as u32).to_be_bytes());
            let start = file.len();
            file.extend_from_slice(b"tEXt");
            file.extend_from_slice(&data);
            let sum = crc32fast::hash(&file[start..]);
            file.extend_from_slice(&sum.to_be_bytes());
        }
        file.extend_from_slice(&PICTURE[end..]);
        fs::write(user.join(format!("characters/Somebody {n}.png")), file)?;
        if n.is_multiple_of(TALKED_TO) {
            let chats = user.join(format!("chats/Somebody {n}"));
            fs::create_dir_all(&chats)?;
            fs::write(chats.join("one.jsonl"), "{\"chat_metadata\":{}}\n{\"name\":\"x\",\"mes\":\"hello\"}")?;
        }
    }
    Ok(())
}

/// A card of the usual length, with words of its own.
fn card(n: usize) -> String {
    let words = ["harbour", "lantern", "winter", "garden", "captain", "tea", "clock", "violin"];
    let word = |step: usize| words[(n / (step + 1) + step) % words.len()];
    let prose: Vec<&str> = (0..250).map(word).collect();
    let prose = prose.join(" ");
    let tags = format!("\"{}\",\"{}\",\"tag {}\"", word(1), word(2), n % 300);
    format!(
        "{{\"name\":\"Somebody {n}\",\"description\":\"{prose}\",\"personality\":\"\",\"scenario\":\"\",\"first_mes\":\"Hello.\",\
         \"mes_example\":\"\",\"tags\":[{tags}],\"spec\":\"chara_card_v3\",\"spec_version\":\"3.0\",\
         \"data\":{{\"name\":\"Somebody {n}\",\"description\":\"{prose}\",\"personality\":\"\",\"scenario\":\"\",\"first_mes\":\"Hello.\",\
         \"mes_example\":\"\",\"creator_notes\":\"{} of the {} number {n}, who knows about the {}\",\"tags\":[{tags}],\
         \"creator\":\"maker {}\",\"alternate_greetings\":[],\"extensions\":{{\"fav\":{}}}}}}}",
        word(3),
        word(4),
        word(5),
        n % 50,
        n.is_multiple_of(100),
    )
}
