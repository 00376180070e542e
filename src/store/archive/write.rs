//! Writing a backup: one pass over the files, straight to whoever receives it.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::thread;
use std::time::SystemTime;

use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::Progress;
use super::hasher::Hasher;
use super::manifest::{FORMAT, Listed, MANIFEST, Manifest, is_secret, nanos};
use super::sink::{Seal, Sink, spoil};
use crate::error::{Error, Result};
use crate::store::moment::{Moment, Recorded};
use crate::store::{Folder, Handle, Owner, Store, Version};

/// Files of these kinds do not get smaller.
const PACKED: &[&str] = &[
    "png",
    "jpg",
    "jpeg",
    "jfif",
    "webp",
    "gif",
    "avif",
    "apng",
    "mp3",
    "ogg",
    "oga",
    "opus",
    "m4a",
    "aac",
    "flac",
    "mp4",
    "m4v",
    "mov",
    "mkv",
    "webm",
    "zip",
    "gz",
    "tgz",
    "bz2",
    "xz",
    "zst",
    "7z",
    "rar",
    "charx",
    "byaf",
    "woff",
    "woff2",
    "pdf",
    "docx",
    "xlsx",
    "pptx",
    "odt",
    "epub",
    "jar",
    "safetensors",
];
/// Below this many bytes compressing adds more than it takes away.
const TINY: u64 = 64;
/// Up to this many bytes handing a file to the other thread costs more than hashing it.
const SMALL: u64 = 64 * 1024;
/// A streamed entry must say beforehand whether it may pass 4 GiB; compressing can add a little.
const LARGE: u64 = 0xF000_0000;
/// Measured on chats: twice as fast as level 3, for 40 % more bytes.
const LEVEL: i64 = 1;

/// What a backup holds beyond the usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BackupOptions {
    /// The keys of model providers too.
    pub secrets: bool,
}

impl BackupOptions {
    fn include(self, file: &Recorded) -> bool {
        self.secrets || !is_secret(file.path.as_str())
    }
}

/// What went into a backup, its own manifest not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Files.
    pub files: u64,
    /// Their bytes, before compressing.
    pub bytes: u64,
}

impl Moment {
    /// What a backup of this moment will hold.
    pub fn totals(&self, options: BackupOptions) -> Written {
        self.files()
            .iter()
            .filter(|file| options.include(file))
            .fold(Written::default(), |sum, file| Written { files: sum.files + 1, bytes: sum.bytes + file.size })
    }
}

impl Store {
    /// Writes a backup while keeping writers out: for a command beside a server, whose writers in the other process
    /// cannot be asked to keep old files open.
    pub fn backup_locked(
        &self,
        handle: &Handle,
        options: BackupOptions,
        receiver: impl Write,
        progress: &Progress,
    ) -> Result<Written> {
        self.writing(&Owner::User(handle.clone()), |_| {
            write_backup(&*self.moment_now(handle)?, options, receiver, progress)
        })
    }
}

/// Writes the backup of `moment` to `receiver`. Memory does not grow with the size of the files. After an error what was
/// written so far is not an archive, and the caller must tell the receiver that it is not whole.
pub fn write_backup(
    moment: &Moment,
    options: BackupOptions,
    mut receiver: impl Write,
    progress: &Progress,
) -> Result<Written> {
    let totals = moment.totals(options);
    progress.expect(totals.files, totals.bytes);
    let seal = Seal::default();
    let written = {
        let mut zip = ZipWriter::new_stream(Sink::new(&mut receiver, seal.clone()));
        let listed = thread::scope(|scope| {
            let (hasher, small) = (Hasher::start(scope), Vec::new());
            Entries { zip: &mut zip, hasher, small, moment, options, progress }.write()
        });
        let closed = listed.and_then(|files| close(&mut zip, moment, options, files)).and_then(|()| progress.passed(0));
        if closed.is_err() {
            seal.break_off();
        }
        let finished = zip.finish().map_err(packing).and_then(|stream| stream.into_inner().flush().map_err(cut_off));
        closed.and(finished)
    };
    written.inspect_err(|_| spoil(&mut receiver)).map(|()| totals)
}

type Zip<W> = ZipWriter<StreamWriter<Sink<W>>>;

/// The files of a moment on their way into the archive.
struct Entries<'a, 'scope, W: Write> {
    zip: &'a mut Zip<W>,
    hasher: Hasher<'scope>,
    /// The bytes of a small file.
    small: Vec<u8>,
    moment: &'a Moment,
    options: BackupOptions,
    progress: &'a Progress,
}

impl<W: Write> Entries<'_, '_, W> {
    fn write(mut self) -> Result<Vec<Listed>> {
        for folder in self.moment.folders() {
            self.zip.add_directory(folder.as_str(), SimpleFileOptions::default()).map_err(packing)?;
        }
        let mut added = Vec::new();
        for (index, file) in self.moment.files().iter().enumerate() {
            if self.options.include(file) {
                added.push((file, self.add(index, file)?));
            }
        }
        let mut hashed = self.hasher.finish()?.into_iter();
        let listed = |(file, small): (&Recorded, Option<Version>)| Some(listed(file, small.or_else(|| hashed.next())?));
        added.into_iter().map(listed).collect::<Option<_>>().ok_or_else(|| Error::internal("a hash is missing"))
    }

    /// Adds one file. Its hash is known at once if it is small, and else is among those of the hasher, in the same order.
    fn add(&mut self, index: usize, recorded: &Recorded) -> Result<Option<Version>> {
        let mut file = self.moment.open(index)?;
        self.zip.start_file(recorded.path.as_str(), how(recorded)).map_err(packing)?;
        let version = if recorded.size <= SMALL {
            Some(self.pass_on_small(&mut file, recorded.size)?)
        } else {
            let mut left = recorded.size;
            while left > 0 {
                left -= self.pass_on(&mut file, left)?;
            }
            self.hasher.end_of_file()?;
            None
        };
        self.progress.finished_file();
        self.progress.passed(0)?;
        Ok(version)
    }

    fn pass_on_small(&mut self, file: &mut File, size: u64) -> Result<Version> {
        self.small.clear();
        let length = file.take(size).read_to_end(&mut self.small).map_err(reading)?;
        if length as u64 != size {
            return Err(shorter());
        }
        self.zip.write_all(&self.small).map_err(cut_off)?;
        self.progress.passed(length)?;
        Ok(Version::of(&self.small))
    }

    /// Copies one buffer, of at most `left` bytes.
    fn pass_on(&mut self, file: &mut File, left: u64) -> Result<u64> {
        let mut buffer = self.hasher.buffer()?;
        let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let len = read_some(file, &mut buffer[..room]).map_err(reading)?;
        if len == 0 {
            return Err(shorter());
        }
        self.zip.write_all(&buffer[..len]).map_err(cut_off)?;
        self.hasher.take(buffer, len)?;
        self.progress.passed(len)?;
        Ok(len as u64)
    }
}

/// Writes the manifest, the last entry.
fn close<W: Write>(zip: &mut Zip<W>, moment: &Moment, options: BackupOptions, files: Vec<Listed>) -> Result<()> {
    let manifest = Manifest {
        format: FORMAT,
        handle: moment.handle().clone(),
        created: moment.taken(),
        program: concat!("tavernkeep ", env!("CARGO_PKG_VERSION")).to_owned(),
        secrets: options.secrets,
        files,
        folders: moment.folders().cloned().collect(),
        left_out: left_out(moment, options),
        skipped: moment.skipped().to_vec(),
    };
    let options =
        SimpleFileOptions::default().compression_level(Some(LEVEL)).last_modified_time(dos(SystemTime::now()));
    zip.start_file(MANIFEST, options).map_err(packing)?;
    let mut text = BufWriter::new(zip);
    serde_json::to_writer(&mut text, &manifest).map_err(|error| cut_off(error.into()))?;
    text.flush().map_err(cut_off)
}

fn left_out(moment: &Moment, options: BackupOptions) -> Vec<String> {
    let secrets = moment.files().iter().filter(|file| !options.include(file)).map(|file| file.path.to_string());
    [Folder::THUMBNAILS, Folder::TRASH].map(|folder| folder.as_str().to_owned()).into_iter().chain(secrets).collect()
}

fn listed(file: &Recorded, sha256: Version) -> Listed {
    Listed { path: file.path.clone(), size: file.size, sha256, modified: nanos(file.modified), mode: file.mode }
}

fn how(file: &Recorded) -> SimpleFileOptions {
    let packed = file
        .path
        .as_str()
        .rsplit_once('.')
        .is_some_and(|(_, extension)| PACKED.iter().any(|packed| packed.eq_ignore_ascii_case(extension)));
    let options = SimpleFileOptions::default()
        .last_modified_time(dos(file.modified))
        .unix_permissions(if file.mode == 0 { 0o600 } else { file.mode })
        .large_file(file.size > LARGE);
    if packed || file.size < TINY {
        options.compression_method(CompressionMethod::Stored)
    } else {
        options.compression_method(CompressionMethod::Deflated).compression_level(Some(LEVEL))
    }
}

/// Local time in the form that zip has for it; 1980 where it cannot be said.
fn dos(time: SystemTime) -> DateTime {
    let local = crate::clock::local(time);
    let year = u16::try_from(local.year()).unwrap_or_default();
    DateTime::from_date_and_time(year, local.month().into(), local.day(), local.hour(), local.minute(), local.second())
        .unwrap_or_default()
}

fn read_some(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn reading(error: io::Error) -> Error {
    Error::storage("read a file", error)
}

fn shorter() -> Error {
    Error::conflict(
        "moment_lost",
        "A file became shorter while it was read; another program must have changed it. Start the backup again.",
    )
}

/// The receiver would not take it.
fn cut_off(error: io::Error) -> Error {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof, WriteZero,
    };
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | TimedOut | UnexpectedEof | WriteZero => {
            Error::conflict("cut_off", "Whoever was receiving the backup went away before its end.").because(error)
        }
        _ => Error::storage("write the backup", error),
    }
}

fn packing(error: zip::result::ZipError) -> Error {
    match error {
        zip::result::ZipError::Io(error) => cut_off(error),
        other => Error::internal(other),
    }
}
