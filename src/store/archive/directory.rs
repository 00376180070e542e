//! The directory at the end of a zip, read strictly and without trusting it for memory.
//!
//! Readers of zips disagree about archives that are bent on purpose: which of two directories counts, what a prefix
//! means, which of two names. So this reader accepts only the plain form: one directory that ends exactly where its end
//! record begins, with exactly as many entries as that says. The bytes themselves are unpacked by the zip crate.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::time::{Duration, SystemTime};

use time::{Date, Month, PrimitiveDateTime, Time};

use super::check::{bad, unreadable};
use crate::error::Result;

/// More entries than this are nobody's chats.
const ENTRIES_MAX: u64 = 200_000;
/// Bytes of the whole directory.
const DIRECTORY_MAX: u64 = 64 << 20;
/// Bytes of all names together: they are held in memory.
const NAMES_MAX: usize = 32 << 20;

const END: &[u8; 4] = b"PK\x05\x06";
const END_SIZE: usize = 22;
const LOCATOR: &[u8; 4] = b"PK\x06\x07";
const LOCATOR_SIZE: u64 = 20;
const END64: &[u8; 4] = b"PK\x06\x06";
const END64_SIZE: u64 = 56;
const ENTRY: &[u8; 4] = b"PK\x01\x02";
const ENTRY_SIZE: usize = 46;

const FIELD_ZIP64: u16 = 0x0001;
const FIELD_TIMES: u16 = 0x5455;

/// What the directory says of one entry.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc32: u32,
    pub(super) packed: u64,
    pub(super) size: u64,
    pub(super) offset: u64,
    /// File type and permission bits, where the archive has them.
    pub(super) mode: u32,
    pub(super) modified: Option<SystemTime>,
    pub(super) is_dos_folder: bool,
}

/// The directory: its entries in their order, and where it begins.
pub(super) struct Directory {
    pub(super) records: Vec<Record>,
    pub(super) start: u64,
}

impl Directory {
    pub(super) fn read<R: Read + Seek>(file: &mut BufReader<R>) -> Result<Self> {
        let end = End::find(file)?;
        if end.entries > ENTRIES_MAX || end.size > DIRECTORY_MAX {
            return Err(bad("It has more than 200,000 entries, or a directory of more than 64 MiB."));
        }
        if end.start.checked_add(end.size) != Some(end.position) {
            return Err(bad("Its directory is damaged."));
        }
        file.seek(SeekFrom::Start(end.start)).map_err(unreadable)?;
        let mut directory = file.by_ref().take(end.size);
        let mut records = Vec::new();
        let mut names = 0;
        for _ in 0..end.entries {
            let record = Record::read(&mut directory)?;
            names += record.name.len();
            if names > NAMES_MAX {
                return Err(bad("Its file names are too long."));
            }
            records.push(record);
        }
        if directory.limit() != 0 {
            return Err(bad("Its directory has more entries than it says."));
        }
        Ok(Self { records, start: end.start })
    }
}

/// What the end record says of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    entries: u64,
    size: u64,
    start: u64,
    /// Where the end record itself begins, so where the directory must end.
    position: u64,
}

impl End {
    fn find<R: Read + Seek>(file: &mut BufReader<R>) -> Result<Self> {
        let length = file.seek(SeekFrom::End(0)).map_err(unreadable)?;
        let tail_start = length.saturating_sub((END_SIZE + usize::from(u16::MAX)) as u64);
        let tail = read_at(file, tail_start, (length - tail_start) as usize)?;
        let no_zip = || bad("It is not a zip archive, or its end is missing.");
        let found = (0..=tail.len().checked_sub(END_SIZE).ok_or_else(no_zip)?)
            .rev()
            .find(|&at| {
                tail[at..].starts_with(END) && usize::from(u16_at(&tail, at + 20)) == tail.len() - at - END_SIZE
            })
            .ok_or_else(no_zip)?;
        let end = &tail[found..];
        let short = Self {
            entries: u16_at(end, 10).into(),
            size: u32_at(end, 12).into(),
            start: u32_at(end, 16).into(),
            position: tail_start + found as u64,
        };
        let disks = [u16_at(end, 4), u16_at(end, 6)];
        let entries_here = u16_at(end, 8);
        match short.find_zip64(file)? {
            Some(long) if short.agrees_with(&long) => Ok(long),
            Some(_) => Err(bad("Its two end records differ.")),
            None if disks != [0, 0] || u64::from(entries_here) != short.entries => Err(several_disks()),
            None if short.needs_zip64() => Err(bad("Its directory is damaged.")),
            None => Ok(short),
        }
    }

    /// The larger end record that stands before the usual one when something does not fit.
    fn find_zip64<R: Read + Seek>(&self, file: &mut BufReader<R>) -> Result<Option<Self>> {
        let Some(locator_at) = self.position.checked_sub(LOCATOR_SIZE) else { return Ok(None) };
        let locator = read_at(file, locator_at, LOCATOR_SIZE as usize)?;
        if !locator.starts_with(LOCATOR) {
            return Ok(None);
        }
        let position = u64_at(&locator, 8);
        if u32_at(&locator, 4) != 0 || u32_at(&locator, 16) > 1 {
            return Err(several_disks());
        }
        if position.checked_add(END64_SIZE) != Some(locator_at) {
            return Err(bad("Its directory is damaged."));
        }
        let end = read_at(file, position, END64_SIZE as usize)?;
        if !end.starts_with(END64) || u64_at(&end, 4) != END64_SIZE - 12 {
            return Err(bad("Its directory is damaged."));
        }
        let entries = u64_at(&end, 32);
        if u32_at(&end, 16) != 0 || u32_at(&end, 20) != 0 || u64_at(&end, 24) != entries {
            return Err(several_disks());
        }
        Ok(Some(Self { entries, size: u64_at(&end, 40), start: u64_at(&end, 48), position }))
    }

    fn needs_zip64(&self) -> bool {
        self.entries == u64::from(u16::MAX) || self.size == u64::from(u32::MAX) || self.start == u64::from(u32::MAX)
    }

    /// Whether each figure is that of the larger record or says "see there".
    fn agrees_with(&self, long: &Self) -> bool {
        let same = |short: u64, long: u64, marker: u64| short == long || short == marker;
        same(self.entries, long.entries, u16::MAX.into())
            && same(self.size, long.size, u32::MAX.into())
            && same(self.start, long.start, u32::MAX.into())
    }
}

impl Record {
    fn read(directory: &mut impl Read) -> Result<Self> {
        let mut fixed = [0; ENTRY_SIZE];
        directory.read_exact(&mut fixed).map_err(unreadable)?;
        if !fixed.starts_with(ENTRY) {
            return Err(bad("Its directory is damaged."));
        }
        let name = take(directory, u16_at(&fixed, 28))?;
        let extra = take(directory, u16_at(&fixed, 30))?;
        take(directory, u16_at(&fixed, 32))?;
        let name = String::from_utf8(name)
            .map_err(|error| bad(format!("A file name is not UTF-8: \"{}\".", error.as_bytes().escape_ascii())))?;
        let mut record = Self {
            name,
            flags: u16_at(&fixed, 8),
            method: u16_at(&fixed, 10),
            crc32: u32_at(&fixed, 16),
            packed: u32_at(&fixed, 20).into(),
            size: u32_at(&fixed, 24).into(),
            offset: u32_at(&fixed, 42).into(),
            mode: u32_at(&fixed, 38) >> 16,
            modified: dos_time(u16_at(&fixed, 14), u16_at(&fixed, 12)),
            is_dos_folder: u32_at(&fixed, 38) & 0x10 != 0,
        };
        let disk = u16_at(&fixed, 34);
        record.read_fields(&extra, disk)?;
        Ok(record)
    }

    fn read_fields(&mut self, mut extra: &[u8], disk: u16) -> Result<()> {
        let mut long = None;
        while extra.len() >= 4 {
            let (head, rest) = extra.split_at(4);
            let Some((field, rest)) = rest.split_at_checked(u16_at(head, 2).into()) else { break };
            match u16_at(head, 0) {
                FIELD_ZIP64 if long.is_none() => long = Some(field),
                FIELD_TIMES if field.len() >= 5 && field[0] & 1 != 0 => {
                    self.modified = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u32_at(field, 1).into()));
                }
                _ => {}
            }
            extra = rest;
        }
        self.widen(long.unwrap_or_default(), disk)
    }

    /// Takes the figures that did not fit from the zip64 field, which has them in this order.
    fn widen(&mut self, mut long: &[u8], disk: u16) -> Result<()> {
        for figure in [&mut self.size, &mut self.packed, &mut self.offset] {
            if *figure == u64::from(u32::MAX) {
                let (wide, rest) = long.split_at_checked(8).ok_or_else(|| bad("Its directory is damaged."))?;
                *figure = u64_at(wide, 0);
                long = rest;
            }
        }
        let disk = if disk == u16::MAX && long.len() >= 4 { u32_at(long, 0) } else { disk.into() };
        if disk == 0 { Ok(()) } else { Err(several_disks()) }
    }
}

fn several_disks() -> crate::error::Error {
    bad("It is one of several parts. Join them first.")
}

fn take(from: &mut impl Read, length: u16) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length.into()];
    from.read_exact(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn read_at<R: Read + Seek>(file: &mut BufReader<R>, at: u64, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes)).map_err(unreadable)?;
    Ok(bytes)
}

fn dos_time(date: u16, time: u16) -> Option<SystemTime> {
    let month = Month::try_from((date >> 5 & 0xf) as u8).ok()?;
    let date = Date::from_calendar_date(1980 + i32::from(date >> 9), month, (date & 0x1f) as u8).ok()?;
    let time = Time::from_hms((time >> 11) as u8, (time >> 5 & 0x3f) as u8, (time & 0x1f) as u8 * 2).ok()?;
    Some(crate::clock::from_local(PrimitiveDateTime::new(date, time)))
}

// The callers have made sure that there are enough bytes.

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
