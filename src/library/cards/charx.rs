//! CHARX: a zip with `card.json` and the pictures that belong to it. There may be something before it, such as a picture
//! that shows what is inside.
//!
//! The archive is refused whole if any of its names could lead elsewhere, if two names are the same but for their case, or
//! if it says that it is larger than anybody's character. Of the rest only what the card names is unpacked, each within
//! its limit.

use std::collections::HashSet;
use std::io::{Cursor, Read, Write};

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive};

use super::{Card, TEXT_MAX, bad_card, too_much_text};
use crate::error::{Error, Kind, Result};
use crate::library::characters::file_stem;
use crate::library::json;
use crate::pictures::PictureKind;
use crate::store::{FileName, RelPath};

/// The most entries.
const ENTRIES_MAX: usize = 5_000;
/// Bytes of one picture.
const ASSET_MAX: u64 = 32 << 20;
/// Bytes of all pictures that are unpacked.
const ASSETS_MAX: u64 = 256 << 20;
/// How many pictures are unpacked.
const ASSETS_COUNT_MAX: usize = 500;
/// The end record of a zip, and how far from the end it may begin.
const END: &[u8; 4] = b"PK\x05\x06";
const END_SIZE: usize = 22;
/// Beginnings of addresses that mean a file inside.
const INSIDE: &[&str] = &["embeded://", "embedded://", "__asset:"];
/// Where we put the main picture.
const MAIN: &str = "assets/icon/image/main.png";

/// What was in an archive.
#[derive(Debug)]
pub struct Charx {
    /// The card.
    pub card: Card,
    /// The main picture, as it came.
    pub icon: Option<Vec<u8>>,
    /// Other pictures.
    pub assets: Vec<Asset>,
}

/// A picture beside the main one.
#[derive(Debug)]
pub struct Asset {
    /// What it shows.
    pub shows: Shows,
    /// A name for its file, with the ending that its content asks for.
    pub name: FileName,
    /// The picture.
    pub bytes: Vec<u8>,
}

/// What a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// The character in a mood.
    Emotion,
    /// A place.
    Background,
    /// Something else.
    Other,
}

/// Whether these bytes end as a zip does.
pub fn is_zip(bytes: &[u8]) -> bool {
    end_of(bytes).is_some()
}

/// The end record, if there is one.
fn end_of(bytes: &[u8]) -> Option<&[u8]> {
    let tail = &bytes[bytes.len().saturating_sub(END_SIZE + usize::from(u16::MAX))..];
    let at = memchr::memmem::rfind(tail, END)?;
    tail.get(at..at + END_SIZE)
}

/// Reads an archive, with suspicion.
pub fn read(bytes: &[u8]) -> Result<Charx> {
    let end = end_of(bytes).ok_or_else(|| bad_archive("its end is missing"))?;
    let said = usize::from(u16::from_le_bytes([end[10], end[11]]));
    if said > ENTRIES_MAX {
        return Err(bad_archive("it has more entries than any character needs"));
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| bad_archive(&error.to_string()))?;
    // Readers keep one of two entries of the same name, and not all the same one.
    if archive.len() != said {
        return Err(bad_archive("two of its entries have one name, or its directory is damaged"));
    }
    let names = check_names(&mut archive)?;
    let text = unpack(&mut archive, &names, "card.json", TEXT_MAX as u64)?;
    let text = text.ok_or_else(|| bad_card("the archive has no card.json"))?;
    let card = Card::parse(&text)?;
    drop(text);
    let mut left = ASSETS_MAX;
    let mut icons = Vec::new();
    let mut assets = Vec::new();
    for said in assets_of(&card).into_iter().take(ASSETS_COUNT_MAX) {
        let Some(bytes) = unpack(&mut archive, &names, &said.path, ASSET_MAX.min(left))? else { continue };
        left -= bytes.len() as u64;
        let Some(kind) = PictureKind::of(&bytes) else { continue };
        if said.kind == "icon" {
            icons.push((said.name == "main", bytes));
            continue;
        }
        let shows = match said.kind.as_str() {
            "emotion" | "expression" => Shows::Emotion,
            "background" => Shows::Background,
            _ => Shows::Other,
        };
        let name = FileName::parse(&format!("{}.{}", file_stem(&said.name), kind.ending()))?;
        assets.push(Asset { shows, name, bytes });
    }
    // The one that is called main, else the first.
    icons.sort_by_key(|(is_main, _)| !is_main);
    let icon = icons.into_iter().next().map(|(_, bytes)| bytes);
    Ok(Charx { card, icon, assets })
}

/// An asset as the card names it.
struct Said {
    kind: String,
    name: String,
    path: String,
}

fn assets_of(card: &Card) -> Vec<Said> {
    let list = card.fields().get("data").and_then(|data| data.get("assets")?.as_array());
    let text = |asset: &Value, name: &str| asset.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    list.into_iter()
        .flatten()
        .filter_map(|asset| {
            let uri = text(asset, "uri");
            let path = INSIDE.iter().find_map(|start| uri.strip_prefix(start))?.trim_start_matches('/').to_owned();
            Some(Said { kind: text(asset, "type"), name: text(asset, "name"), path })
        })
        .collect()
}

/// Refuses the whole archive for one bad name; returns the good ones.
fn check_names(archive: &mut ZipArchive<Cursor<&[u8]>>) -> Result<HashSet<String>> {
    let mut names = HashSet::new();
    let mut folded = HashSet::new();
    let mut size: u64 = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| bad_archive(&error.to_string()))?;
        let name = entry.name().map_err(|error| bad_archive(&error.to_string()))?.into_owned();
        if entry.is_symlink() {
            return Err(bad_archive("it has a link"));
        }
        size = size.saturating_add(entry.size());
        let path = name.strip_suffix('/').unwrap_or(&name);
        RelPath::parse(path).map_err(|_| bad_archive("one of its names could lead elsewhere"))?;
        if path.contains(':') || !folded.insert(path.to_lowercase()) {
            return Err(bad_archive("two of its names differ in nothing but case, or one names a drive"));
        }
        if path.len() == name.len() {
            names.insert(name);
        }
    }
    if size > ASSETS_MAX * 4 {
        return Err(bad_archive("unpacked, it would be larger than any character needs"));
    }
    Ok(names)
}

/// An entry's bytes, or nothing where there is none of that name. Never more than `limit`, whatever the archive says.
fn unpack(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    names: &HashSet<String>,
    name: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>> {
    if !names.contains(name) {
        return Ok(None);
    }
    let entry = archive.by_name(name).map_err(|error| bad_archive(&error.to_string()))?;
    if entry.size() > limit {
        return Err(if name == "card.json" { too_much_text() } else { too_large() });
    }
    let mut bytes = Vec::new();
    entry.take(limit + 1).read_to_end(&mut bytes).map_err(|error| bad_archive(&error.to_string()))?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(Some(bytes)) }
}

/// An archive of a card, its picture, and pictures of its moods.
pub fn write(card: &Card, icon: &[u8], emotions: &[(FileName, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut assets = vec![json!({ "type": "icon", "uri": format!("embeded://{MAIN}"), "name": "main", "ext": "png" })];
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let packed = SimpleFileOptions::default();
    // Pictures are packed already.
    let stored = packed.compression_method(CompressionMethod::Stored);
    let mut put = |name: &str, bytes: &[u8], options: SimpleFileOptions| {
        zip.start_file(name, options).map_err(Error::internal)?;
        zip.write_all(bytes).map_err(Error::internal)
    };
    put(MAIN, icon, stored)?;
    for (name, bytes) in emotions {
        let (stem, ending) = name.as_str().rsplit_once('.').unwrap_or((name.as_str(), "png"));
        let path = format!("assets/emotion/image/{name}");
        put(&path, bytes, stored)?;
        assets.push(json!({ "type": "emotion", "uri": format!("embeded://{path}"), "name": stem, "ext": ending }));
    }
    put("card.json", &with_assets(card, assets)?, packed)?;
    Ok(zip.finish().map_err(Error::internal)?.into_inner())
}

/// The card's JSON, with these assets instead of those that it said were inside; what is elsewhere stays.
fn with_assets(card: &Card, mut assets: Vec<Value>) -> Result<Vec<u8>> {
    let mut fields = card.as_version("chara_card_v3", "3.0");
    let data = fields.entry("data").or_insert_with(|| json!({}));
    let elsewhere = data.get("assets").and_then(Value::as_array).into_iter().flatten().filter(|asset| {
        let uri = asset.get("uri").and_then(Value::as_str).unwrap_or_default();
        !INSIDE.iter().any(|start| uri.starts_with(start)) && uri != "ccdefault:"
    });
    assets.extend(elsewhere.cloned());
    if let Some(data) = data.as_object_mut() {
        data.insert("assets".to_owned(), Value::Array(assets));
    }
    json::indented(&fields)
}

fn bad_archive(why: &str) -> Error {
    Error::invalid("bad_archive", format!("This archive is not taken: {why}. Nothing was changed."))
}

fn too_large() -> Error {
    Error::new(Kind::TooLarge, "too_large", "A picture in this archive is too large. Nothing was changed.")
}
