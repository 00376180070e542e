//! Cards in PNG files: the text chunks `chara` and `ccv3`.
//!
//! Reading goes from chunk to chunk and looks into those of text only, so that a listing of thousands of cards does not
//! read a single pixel. Writing replaces these chunks and copies every other byte.

use std::io::{self, BufReader, Cursor, Read, Seek};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::ZlibDecoder;

use super::{Card, TEXT_MAX, bad_card, too_much_text};
use crate::error::{Error, Result};

/// What every PNG begins with.
pub const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";
/// Length, kind and checksum of a chunk.
const FRAME: u64 = 12;
/// The specification's limit for a keyword, and its zero.
const KEYWORD_MAX: usize = 80;
/// Read at once: most chunk heads of a small picture.
const BUFFER: usize = 16 * 1024;

/// Padding may be there or not, as with SillyTavern.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The text of a card, found in a PNG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The JSON, as bytes.
    pub json: Vec<u8>,
    /// Whether it stands in plain `tEXt` chunks, the only ones that SillyTavern reads.
    pub plain: bool,
}

/// Which of the two chunks; the later one is preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Keyword {
    Chara,
    Ccv3,
}

impl Keyword {
    fn of(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"chara") {
            Some(Self::Chara)
        } else if name.eq_ignore_ascii_case(b"ccv3") {
            Some(Self::Ccv3)
        } else {
            None
        }
    }
}

/// Whether these bytes begin as a PNG does.
pub fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(SIGNATURE)
}

/// The card in a PNG.
pub fn read(bytes: &[u8]) -> Result<Card> {
    Card::parse(&find(Cursor::new(bytes))?.json)
}

/// Finds the text of the card, reading chunk heads and text only.
pub fn find(source: impl Read + Seek) -> Result<Found> {
    let mut reader = BufReader::with_capacity(BUFFER, source);
    let mut signature = [0; 8];
    reader.read_exact(&mut signature).map_err(cut)?;
    if signature != *SIGNATURE {
        return Err(bad_card("it is not a PNG picture"));
    }
    let mut best: Option<(Keyword, [u8; 4], Vec<u8>)> = None;
    while let Some(head) = Head::read(&mut reader)? {
        if &head.kind == b"IEND" {
            break;
        }
        if !head.is_text() {
            reader.seek_relative(i64::from(head.length) + 4).map_err(cut)?;
            continue;
        }
        if let Some((keyword, data)) = read_text(&mut reader, &head)?
            && best.as_ref().is_none_or(|(found, ..)| *found < keyword)
        {
            best = Some((keyword, head.kind, data));
        }
    }
    let (_, kind, data) = best.ok_or_else(|| bad_card("there is no character in this picture"))?;
    Ok(Found { json: decode(&unpacked(kind, &data)?)?, plain: &kind == b"tEXt" })
}

/// Length and kind of a chunk.
struct Head {
    length: u32,
    kind: [u8; 4],
}

impl Head {
    /// The next head; `None` where the file ends between two chunks, as some that were cut short do.
    fn read(reader: &mut impl Read) -> Result<Option<Self>> {
        let mut head = [0; 8];
        let mut got = 0;
        while got < head.len() {
            match reader.read(&mut head[got..]) {
                Ok(0) if got == 0 => return Ok(None),
                Ok(0) => return Err(cut(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => got += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cut(error)),
            }
        }
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        if length > i32::MAX as u32 {
            return Err(bad_card("a chunk of the picture is longer than a PNG allows"));
        }
        Ok(Some(Self { length, kind: [head[4], head[5], head[6], head[7]] }))
    }

    fn is_text(&self) -> bool {
        matches!(&self.kind, b"tEXt" | b"zTXt" | b"iTXt")
    }
}

/// The data of a text chunk after its keyword, if the keyword is one of ours; else the chunk is passed over.
fn read_text<R: Read + Seek>(reader: &mut BufReader<R>, head: &Head) -> Result<Option<(Keyword, Vec<u8>)>> {
    let length = head.length as usize;
    let mut start = vec![0; length.min(KEYWORD_MAX)];
    reader.read_exact(&mut start).map_err(cut)?;
    let name = start.iter().position(|byte| *byte == 0).map(|end| &start[..end]);
    let Some(keyword) = name.and_then(Keyword::of) else {
        reader.seek_relative((length - start.len()) as i64 + 4).map_err(cut)?;
        return Ok(None);
    };
    if length > TEXT_MAX {
        return Err(too_much_text());
    }
    let after_name = name.map_or(0, <[u8]>::len) + 1;
    let mut data = start;
    // Grows with what is really there, not with what the file says.
    reader.by_ref().take((length - data.len()) as u64).read_to_end(&mut data).map_err(cut)?;
    let mut sum = [0; 4];
    reader.read_exact(&mut sum).map_err(cut)?;
    if data.len() != length {
        return Err(cut(io::ErrorKind::UnexpectedEof.into()));
    }
    if checksum(&head.kind, &data) != sum {
        return Err(bad_card("the checksum of its text does not fit, so the file is damaged"));
    }
    data.drain(..after_name);
    Ok(Some((keyword, data)))
}

/// What stands in a text chunk after the keyword, unpacked if need be.
fn unpacked(kind: [u8; 4], data: &[u8]) -> Result<Vec<u8>> {
    match &kind {
        b"zTXt" => inflate(data.get(1..).unwrap_or_default()),
        b"iTXt" => {
            let [flag, _method, rest @ ..] = data else { return Err(bad_card("its text chunk is damaged")) };
            // Language, then the keyword in that language, each with a zero.
            let text = rest.splitn(3, |byte| *byte == 0).nth(2).unwrap_or_default();
            if *flag == 0 { Ok(text.to_vec()) } else { inflate(text) }
        }
        _ => Ok(data.to_vec()),
    }
}

fn inflate(packed: &[u8]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    ZlibDecoder::new(packed)
        .take(TEXT_MAX as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|error| bad_card("its packed text is damaged").because(error))?;
    if text.len() > TEXT_MAX { Err(too_much_text()) } else { Ok(text) }
}

/// The JSON behind base64; text that is JSON already is taken as it is.
fn decode(text: &[u8]) -> Result<Vec<u8>> {
    if text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
        return Ok(text.to_vec());
    }
    let decoded = LENIENT.decode(text).or_else(|_| {
        let tidy: Vec<u8> = text.iter().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| plain(*byte)).collect();
        LENIENT.decode(tidy)
    });
    decoded.map_err(|error| bad_card(format!("its text is not base64: {error}")).because(error))
}

/// The alphabet for addresses is taken too.
fn plain(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}

/// The picture in `bytes` with `card` in it: our two chunks stand directly before the end, `chara` and then `ccv3`; every
/// other chunk, and what follows the end, is copied.
pub fn write(bytes: &[u8], card: &Card) -> Result<Vec<u8>> {
    let (chara, ccv3) = card.png_texts()?;
    if chara.len().max(ccv3.len()) > TEXT_MAX / 4 * 3 - 64 {
        return Err(too_much_text());
    }
    let mut out = Vec::with_capacity(bytes.len() + (chara.len() + ccv3.len()) * 4 / 3 + 128);
    out.extend_from_slice(SIGNATURE);
    let mut ended = false;
    walk(bytes, |kind, data, whole| {
        if kind == b"IEND" {
            push_text(&mut out, "chara", &chara);
            push_text(&mut out, "ccv3", &ccv3);
            ended = true;
        }
        if !is_ours(kind, data) {
            out.extend_from_slice(whole);
        }
    })
    .map(|rest| out.extend_from_slice(rest))?;
    if ended { Ok(out) } else { Err(bad_card("the picture has no end")) }
}

/// The picture without the card in it.
pub fn without_card(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(SIGNATURE);
    walk(bytes, |kind, data, whole| {
        if !is_ours(kind, data) {
            out.extend_from_slice(whole);
        }
    })?;
    Ok(out)
}

/// Calls `each` with kind, data and all bytes of every chunk up to the end; returns what follows it.
fn walk<'a>(bytes: &'a [u8], mut each: impl FnMut(&[u8; 4], &'a [u8], &'a [u8])) -> Result<&'a [u8]> {
    let mut rest = bytes.strip_prefix(SIGNATURE).ok_or_else(|| bad_card("it is not a PNG picture"))?;
    while let Some(head) = Head::read(&mut Cursor::new(rest))? {
        let size = FRAME as usize + head.length as usize;
        let Some((whole, after)) = rest.split_at_checked(size) else {
            return Err(cut(io::ErrorKind::UnexpectedEof.into()));
        };
        each(&head.kind, &whole[8..size - 4], whole);
        rest = after;
        if &head.kind == b"IEND" {
            break;
        }
    }
    Ok(rest)
}

fn is_ours(kind: &[u8; 4], data: &[u8]) -> bool {
    let text = matches!(kind, b"tEXt" | b"zTXt" | b"iTXt");
    text && data
        .iter()
        .take(KEYWORD_MAX)
        .position(|byte| *byte == 0)
        .is_some_and(|end| Keyword::of(&data[..end]).is_some())
}

fn push_text(out: &mut Vec<u8>, keyword: &str, json: &[u8]) {
    let mut data = Vec::with_capacity(keyword.len() + 1 + json.len() * 4 / 3 + 4);
    data.extend_from_slice(keyword.as_bytes());
    data.push(0);
    data.extend_from_slice(base64::engine::general_purpose::STANDARD.encode(json).as_bytes());
    push_chunk(out, *b"tEXt", &data);
}

/// Adds a chunk with its frame.
pub(crate) fn push_chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    out.extend_from_slice(&kind);
    out.extend_from_slice(data);
    out.extend_from_slice(&checksum(&kind, data));
}

fn checksum(kind: &[u8; 4], data: &[u8]) -> [u8; 4] {
    let mut sum = crc32fast::Hasher::new();
    sum.update(kind);
    sum.update(data);
    sum.finalize().to_be_bytes()
}

fn cut(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
            bad_card("the picture ends in the middle").because(error)
        }
        _ => Error::storage("read a card", error),
    }
}
