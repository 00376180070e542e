//! What browsers load: the built-in pages, embedded in the binary, and a folder that may stand before them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use warp::Reply as _;
use warp::http::header::{self, HeaderMap};
use warp::http::{Response, StatusCode};

use super::pipe;
use super::reply::{self, Reply};
use super::shares::{Share, Shares};
use super::shell;
use crate::accounts::limits::Network;
use crate::blocking::blocking;
use crate::error::{Error, Kind, Result};
use crate::mutex::lock;
use crate::store::{self, RelPath};

/// For the built-in pages: nothing inline, nothing from elsewhere, and no way for a string to become a script or markup but
/// by the two policies of ours: what the server has rendered, and the one worker.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
    connect-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types tavernkeep-markup tavernkeep-worker";
/// Smaller files are not worth packing, in bytes.
const PACKED_FROM: usize = 1024;
/// Larger parts of files are sent piece by piece, in bytes.
const AT_ONCE: u64 = 256 * 1024;
/// Of these, one network can have so many on their way: a browser asks for many at once, but each is an open file.
const PER_NETWORK: usize = 128;
/// And all networks together.
const IN_ALL: usize = 1_024;

use built_in::BuiltIn;

#[allow(clippy::disallowed_methods, reason = "in debug builds the derived code reads our sources, not a data folder")]
mod built_in {
    /// The files in `public/`, embedded; read from the disk in debug builds.
    #[derive(rust_embed::Embed)]
    #[folder = "public/"]
    pub(super) struct BuiltIn;
}

/// The files that are served.
pub struct Files {
    folder: Option<PathBuf>,
    /// Built-in files, packed once, by their hash.
    packed: Mutex<HashMap<String, Bytes>>,
    /// Who has how many large ones on their way.
    on_their_way: Shares<Network>,
}

impl Files {
    /// Serves the built-in files, and before them those in `folder`.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, packed: Mutex::default(), on_their_way: Shares::new(IN_ALL) }
    }

    /// Answers the client with the file at `path`, if there is one. Hidden files are not there.
    pub async fn get(&self, path: &str, headers: &HeaderMap, client: IpAddr) -> Result<Option<Reply>> {
        let Ok(path) = RelPath::parse(path) else { return Ok(None) };
        if path.as_str().split('/').any(|part| part.starts_with('.')) {
            return Ok(None);
        }
        if let Some(reply) = self.in_folder(&path, headers, client).await? {
            return Ok(Some(reply));
        }
        self.built_in(&path, headers).await
    }

    async fn built_in(&self, path: &RelPath, headers: &HeaderMap) -> Result<Option<Reply>> {
        let (data, hash) = match shell::file(path.as_str()) {
            Some(html) => (Cow::Borrowed(html), store::Version::of(html).to_string()),
            None => {
                let Some(file) = BuiltIn::get(path.as_str()) else { return Ok(None) };
                (file.data, file.metadata.sha256_hash().iter().map(|byte| format!("{byte:02x}")).collect())
            }
        };
        let etag = format!("\"{}\"", hash.split_at(24).0);
        let media_type = media_type(path.as_str());
        let mut answer = if matches(headers, &etag) {
            not_modified()
        } else {
            match self.packed(hash, data.clone(), media_type, headers).await? {
                Some(packed) => {
                    let mut answer = reply::with_type(StatusCode::OK, media_type, packed);
                    reply::set(&mut answer, header::CONTENT_ENCODING, "gzip");
                    answer
                }
                None => reply::with_type(StatusCode::OK, media_type, Bytes::from(data.into_owned())),
            }
        };
        reply::set(&mut answer, header::ETAG, &etag);
        reply::set(&mut answer, header::CACHE_CONTROL, "no-cache");
        reply::set(&mut answer, header::VARY, "accept-encoding");
        reply::set(&mut answer, header::CONTENT_SECURITY_POLICY, CSP);
        Ok(Some(answer))
    }

    /// The file packed, if the client takes it so and it is worth it.
    async fn packed(
        &self,
        hash: String,
        data: Cow<'static, [u8]>,
        media_type: &str,
        headers: &HeaderMap,
    ) -> Result<Option<Bytes>> {
        let takes = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        let is_text = media_type.starts_with("text/") || media_type.contains("svg") || media_type.contains("json");
        if !is_text || data.len() < PACKED_FROM || takes.is_none_or(|codings| !codings.contains("gzip")) {
            return Ok(None);
        }
        if let Some(known) = lock(&self.packed).get(&hash) {
            return Ok(Some(known.clone()));
        }
        let packed = blocking(move || gzip(&data).map_err(Error::internal)).await?;
        lock(&self.packed).insert(hash, packed.clone());
        Ok(Some(packed))
    }

    async fn in_folder(&self, path: &RelPath, headers: &HeaderMap, client: IpAddr) -> Result<Option<Reply>> {
        let Some(folder) = self.folder.clone() else { return Ok(None) };
        let wanted = path.clone();
        let found = blocking(move || store::open_public(&folder, &wanted).map_err(unreadable)).await?;
        let Some((file, length, modified)) = found else { return Ok(None) };
        let modified = http_date(modified);
        let etag = format!("W/\"{length:x}-{}\"", store::Version::of(modified.as_bytes()).to_string().split_at(12).0);
        let mut answer = if matches(headers, &etag) {
            not_modified()
        } else {
            let share = || self.on_their_way.take(Network::of(client), PER_NETWORK).ok_or_else(busy);
            ranged(file, length, media_type(path.as_str()), headers, share).await?
        };
        reply::set(&mut answer, header::ETAG, &etag);
        reply::set(&mut answer, header::LAST_MODIFIED, &modified);
        reply::set(&mut answer, header::CACHE_CONTROL, "public, max-age=0");
        Ok(Some(answer))
    }
}

fn gzip(data: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data)?;
    encoder.finish().map(Bytes::from)
}

/// A time before 1970 is some tool's way to say that there is none.
fn http_date(time: Option<SystemTime>) -> String {
    let year_9999 = SystemTime::UNIX_EPOCH + Duration::from_secs(253_370_764_800);
    httpdate::fmt_http_date(time.unwrap_or(SystemTime::UNIX_EPOCH).clamp(SystemTime::UNIX_EPOCH, year_9999))
}

/// The whole, or the one range that was asked for: players seek in sounds.
async fn ranged(
    file: File,
    length: u64,
    media_type: &str,
    headers: &HeaderMap,
    share: impl FnOnce() -> Result<Share<Network>>,
) -> Result<Reply> {
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).and_then(|text| range(text, length));
    let part = asked.clone().unwrap_or(0..length);
    let size = part.end - part.start;
    let mut answer = read_part(file, part.clone(), share).await?;
    if asked.is_some() {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let content = format!("bytes {}-{}/{length}", part.start, part.end - 1);
        reply::set(&mut answer, header::CONTENT_RANGE, &content);
    }
    reply::set(&mut answer, header::CONTENT_TYPE, media_type);
    reply::set(&mut answer, header::CONTENT_LENGTH, &size.to_string());
    reply::set(&mut answer, header::ACCEPT_RANGES, "bytes");
    Ok(answer)
}

/// A part of a file as a body: at once if it is small, else piece by piece, as fast as the client takes it, for which it
/// takes a share.
async fn read_part(mut file: File, part: Range<u64>, share: impl FnOnce() -> Result<Share<Network>>) -> Result<Reply> {
    let size = part.end - part.start;
    if size > AT_ONCE {
        let share = share()?;
        return Ok(warp::reply::stream(pipe::of_file(file, part, share)).into_response());
    }
    let bytes = blocking(move || {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(part.start)).map_err(unreadable)?;
        file.take(size).read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    });
    Ok(Response::new(Bytes::from(bytes.await?).into()))
}

fn busy() -> Error {
    Error::new(Kind::Busy, "busy", "Many large files are on their way to you already. Try again in a moment.")
}

fn unreadable(error: io::Error) -> Error {
    Error::storage("read a file of the client", error)
}

/// `bytes=a-b`, `bytes=a-`, `bytes=-n`; anything else is answered with the whole.
fn range(text: &str, length: u64) -> Option<Range<u64>> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (from, to) {
        ("", last) => length.checked_sub(last.parse().ok()?)?..length,
        (from, "") => from.parse().ok()?..length,
        (from, to) => from.parse().ok()?..to.parse::<u64>().ok()?.checked_add(1)?.min(length),
    };
    (range.start < range.end).then_some(range)
}

fn matches(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|list| list.split(',').any(|one| one.trim() == etag || one.trim() == "*"))
}

fn not_modified() -> Reply {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    answer
}

/// The media type by the ending of the name.
fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        _ => mime_guess::from_path(path).first_raw().unwrap_or("application/octet-stream"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("bytes=0-0", Some(0..1))]
    #[case("bytes=2-", Some(2..10))]
    #[case("bytes=-3", Some(7..10))]
    #[case("bytes=5-99", Some(5..10))]
    #[case("bytes=10-", None)]
    #[case("bytes=5-2", None)]
    #[case("bytes=-11", None)]
    #[case("bytes=a-b", None)]
    #[case("bytes=0-18446744073709551615", None)]
    fn ranges(#[case] text: &str, #[case] expected: Option<Range<u64>>) {
        assert_eq!(range(text, 10), expected);
    }
}
