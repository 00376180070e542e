//! What an archive's directory may say. One bad entry refuses the whole archive, by name.

use std::fmt::Display;
use std::io;

use super::directory::{Directory, Record};
use super::read::Limits;
use crate::config::ByteSize;
use crate::error::{Error, Result};
use crate::store::RelPath;

/// Longer paths may not fit below the data folder on every system.
const PATH_MAX: usize = 1024;
/// An archive may unpack to this much, whatever its own size ...
const ALWAYS_FINE: u64 = 100 << 20;
/// ... and beyond it to this many times its own size.
const RATIO_MAX: u64 = 100;
/// The least that stands in the archive before an entry's bytes, its name not counted.
const LOCAL_HEADER: u64 = 30;

const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const PATCH: u16 = 1 << 5;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Sorts before everything that a name can have.
const FIRST_SLASH: &str = "\0";

const TYPE_BITS: u32 = 0o170_000;
const PLAIN: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const SET_ID: u32 = 0o006_000;

/// An entry that passed.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) record: Record,
    pub(super) path: RelPath,
    pub(super) is_folder: bool,
    /// Bytes from its local header to the next thing in the archive: more is not read for it.
    pub(super) room: u64,
}

/// All entries in the order of their bytes, or the reason why the archive is refused.
pub(super) fn members(directory: Directory, archive_size: u64, limits: &Limits) -> Result<Vec<Member>> {
    let members: Vec<Member> = directory.records.into_iter().map(member).collect::<Result<_>>()?;
    check_total(&members, archive_size, limits)?;
    check_names(&members)?;
    give_room(members, directory.start)
}

fn member(record: Record) -> Result<Member> {
    let name = record.name.as_str();
    let is_folder = name.ends_with('/');
    let path = path(name.strip_suffix('/').unwrap_or(name))?;
    let refuse = |why: &str| Err(bad_entry(name, why));
    let file_type = record.mode & TYPE_BITS;
    if record.flags & ENCRYPTED != 0 {
        return refuse("is encrypted. Unpack the archive and pack it again without a password");
    }
    if record.flags & PATCH != 0 || ![STORED, DEFLATED].contains(&record.method) {
        return refuse("is compressed in a way that is not supported");
    }
    if ![0, PLAIN, FOLDER].contains(&file_type) || (!is_folder && record.mode & SET_ID != 0) {
        return refuse("is a link or a special file");
    }
    if !is_folder && (file_type == FOLDER || record.is_dos_folder) {
        return refuse("is a file and a folder at once");
    }
    if (is_folder && record.size != 0) || (record.method == STORED && record.size != record.packed) {
        return refuse("has a wrong size");
    }
    Ok(Member { record, path, is_folder, room: 0 })
}

fn path(name: &str) -> Result<RelPath> {
    let drive = name.as_bytes().get(1) == Some(&b':') && name.as_bytes()[0].is_ascii_alphabetic();
    if name.starts_with('/') || name.starts_with('\\') || drive {
        return Err(bad_entry(name, "is an absolute path"));
    }
    if name.len() > PATH_MAX {
        return Err(bad_entry(name, "is too long a path"));
    }
    RelPath::parse(name).map_err(|error| bad(format!("\"{}\": {}", shown(name), error.message())))
}

fn check_total(members: &[Member], archive_size: u64, limits: &Limits) -> Result<()> {
    let total = members.iter().try_fold(0_u64, |sum, member| sum.checked_add(member.record.size));
    let plausible = archive_size.saturating_mul(RATIO_MAX).saturating_add(ALWAYS_FINE);
    match total {
        Some(total) if total <= limits.max_bytes.min(plausible) => Ok(()),
        Some(total) if total > plausible => Err(bad(format!(
            "It would unpack to {}, more than a hundred times its own size.",
            ByteSize(total).in_words()
        ))),
        _ => Err(bad(format!(
            "It would unpack to more than the {} that are allowed.",
            ByteSize(limits.max_bytes).in_words()
        ))),
    }
}

/// No name twice, no file that is also a folder.
///
/// Names that differ only in case or Unicode form are two names here, as they were where the archive was made. A disk that
/// cannot tell them apart refuses the second one while the archive is unpacked, before anything is changed.
fn check_names(members: &[Member]) -> Result<()> {
    let mut sorted: Vec<(String, &Member)> = members.iter().map(|member| (sorting(&member.path), member)).collect();
    sorted.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    for pair in sorted.windows(2) {
        let [(path_a, a), (path_b, b)] = pair else { continue };
        let clash =
            |why: &str| Err(bad(format!("\"{}\" and \"{}\" {why}.", shown(a.path.as_str()), shown(b.path.as_str()))));
        if path_a == path_b {
            return clash("are the same file");
        }
        if !a.is_folder && path_b.strip_prefix(path_a.as_str()).is_some_and(|rest| rest.starts_with(FIRST_SLASH)) {
            return clash("cannot both be there: one would be a file and a folder");
        }
    }
    Ok(())
}

/// The path so that, sorted, what is in a folder follows the folder directly.
fn sorting(path: &RelPath) -> String {
    path.as_str().replace('/', FIRST_SLASH)
}

/// Sorts by place and refuses entries that share bytes: a bomb can use the same ones many times over.
fn give_room(mut members: Vec<Member>, directory_start: u64) -> Result<Vec<Member>> {
    members.sort_by_key(|member| member.record.offset);
    let mut end = directory_start;
    for member in members.iter_mut().rev() {
        let record = &member.record;
        let needed = (LOCAL_HEADER + record.name.len() as u64).saturating_add(record.packed);
        match end.checked_sub(record.offset) {
            Some(room) if room >= needed => member.room = room,
            _ => return Err(bad_entry(&record.name, "overlaps another entry")),
        }
        end = record.offset;
    }
    Ok(members)
}

/// The archive is refused, whole.
pub(super) fn bad(why: impl Display) -> Error {
    Error::invalid("bad_archive", format!("The archive was refused. {why} Nothing was changed."))
}

/// The archive is refused because of one entry.
pub(super) fn bad_entry(name: &str, why: impl Display) -> Error {
    bad(format!("\"{}\" {why}.", shown(name)))
}

/// The archive could not be read.
pub(super) fn unreadable(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            bad("It is cut off or damaged.").because(error)
        }
        _ => Error::storage("read the archive", error),
    }
}

/// A name for a message: nothing in it can harm a terminal or a page, and it is short.
pub(super) fn shown(name: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = name.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if name.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
