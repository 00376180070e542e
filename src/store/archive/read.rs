//! Reading an archive that may be hostile: all of it is checked, and it is refused whole.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Take};
use std::path::PathBuf;
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use zip::ZipReadOptions;
use zip::read::{ZipFile, read_zipfile_from_stream_with_options};

use super::Progress;
use super::check::{Member, bad, bad_entry, members, shown, unreadable};
use super::directory::Directory;
use super::manifest::{FORMAT, Listed, MANIFEST, Manifest, is_secret};
use super::parts::{is_known, never_in_backups};
use super::plan::{Contents, Source};
use crate::error::{Error, Result};
use crate::store::disk::Disk;
use crate::store::{Handle, RelPath, Version};

/// Larger than the manifest of the most entries that are allowed.
const MANIFEST_MAX: u64 = 64 << 20;
/// Read and written at once.
const BUFFER: usize = 256 * 1024;
/// What the Finder adds to archives.
const FINDER: &str = "__MACOSX";

/// What an archive may ask of the server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of all files, unpacked.
    pub max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 64 << 30 }
    }
}

/// An archive whose directory has been checked. Its files are checked while they are unpacked.
pub struct Archive {
    file: BufReader<File>,
    members: Vec<Member>,
    manifest: Option<Verified>,
}

/// The parts of a manifest that matter for reading.
struct Verified {
    handle: Handle,
    created: i64,
    files: HashMap<RelPath, Listed>,
    folders: Vec<RelPath>,
}

impl Archive {
    /// Checks what can be checked without unpacking: the directory, all names, all declared sizes, the manifest.
    pub fn open(file: File, limits: &Limits) -> Result<Self> {
        let size = file.metadata().map_err(unreadable)?.len();
        let mut file = BufReader::new(file);
        let mut members = members(Directory::read(&mut file)?, size, limits)?;
        unwrap(&mut members)?;
        check_kinds(&members)?;
        let manifest = take_manifest(&mut file, &mut members)?;
        members.retain(|member| !never_in_backups(member.path.top()) && member.path.top() != FINDER);
        Ok(Self { file, members, manifest })
    }

    /// Reads every byte and keeps none: a backup is good when this says so.
    #[cfg(test)]
    pub(super) fn verify(&mut self, progress: &Progress) -> Result<()> {
        self.unpack(None, progress).map(drop)
    }

    #[cfg(test)]
    pub(super) fn members(&self) -> usize {
        self.members.len()
    }

    /// Which program's folder this is of.
    pub fn source(&self) -> Source {
        if self.manifest.is_some() { Source::Tavernkeep } else { Source::SillyTavern }
    }

    /// Whose folder it was, where the archive says so.
    pub fn handle(&self) -> Option<&Handle> {
        self.manifest.as_ref().map(|manifest| &manifest.handle)
    }

    /// The moment it is of, in milliseconds since 1970, where the archive says so.
    pub fn created(&self) -> Option<i64> {
        self.manifest.as_ref().map(|manifest| manifest.created)
    }

    /// The folders to make: as the manifest lists them, whose bytes are checked, or else as the entries say.
    fn folders(&self) -> Vec<RelPath> {
        match &self.manifest {
            Some(manifest) => manifest.folders.clone(),
            None => self.members.iter().filter(|member| member.is_folder).map(|member| member.path.clone()).collect(),
        }
    }

    /// Reads every file, into `staging` if there is one, and compares it with all that the archive says of it.
    pub(crate) fn unpack(&mut self, mut staging: Option<&mut Staging<'_>>, progress: &Progress) -> Result<Contents> {
        progress.expect(
            self.members.iter().filter(|member| !member.is_folder).count() as u64,
            self.members.iter().map(|member| member.record.size).sum(),
        );
        let mut contents = Contents::default();
        for folder in self.folders() {
            staging.as_mut().map_or(Ok(()), |staging| staging.make_folder(folder.as_str()))?;
            contents.folders.insert(folder);
            progress.passed(0)?;
        }
        let mut buffer = vec![0; BUFFER];
        for member in self.members.iter().filter(|member| !member.is_folder) {
            let listed = self.manifest.as_ref().and_then(|manifest| manifest.files.get(&member.path));
            let mut output = staging.as_mut().map(|staging| staging.make_file(&member.path)).transpose()?;
            let version = copy(&mut self.file, member, &mut buffer, progress, |bytes| {
                output.as_mut().map_or(Ok(()), |output| output.write(bytes))
            })?;
            if listed.is_some_and(|listed| listed.sha256 != version) {
                return Err(bad_entry(member.path.as_str(), "is not as the archive's own list says: it was damaged"));
            }
            output.map_or(Ok(()), |output| output.finish(member, listed))?;
            contents.files.insert(member.path.clone(), (member.record.size, version));
            progress.finished_file();
        }
        Ok(contents)
    }
}

/// Takes off the one folder that everything may sit in, when someone packed the user's folder rather than its content.
fn unwrap(members: &mut Vec<Member>) -> Result<()> {
    let tops: BTreeSet<&str> = members.iter().map(|member| member.path.top()).filter(|top| *top != FINDER).collect();
    let second: BTreeSet<&str> = members
        .iter()
        .filter(|member| tops.contains(member.path.top()))
        .filter_map(|member| member.path.as_str().split('/').nth(1))
        .collect();
    let known = |names: &BTreeSet<&str>| names.iter().filter(|name| is_known(name)).count();
    let is_root = |names: &BTreeSet<&str>| names.contains("settings.json") || names.contains(MANIFEST);
    let is_wrapped = tops.len() == 1 && (is_root(&second) || known(&second) > known(&tops));
    if is_wrapped {
        let wrapper = tops.iter().next().map(|top| format!("{top}/")).unwrap_or_default();
        members.retain_mut(|member| match member.path.as_str().strip_prefix(&wrapper).map(RelPath::parse) {
            Some(Ok(path)) => {
                member.path = path;
                true
            }
            _ => false,
        });
        return Ok(());
    }
    if is_root(&tops) || known(&tops) > 0 {
        return Ok(());
    }
    Err(bad(
        "It is neither a backup of Tavernkeep nor a SillyTavern user folder: at its top there is no settings.json and \
         none of the folders characters, chats, worlds and so on.",
    ))
}

/// A folder where everyone expects a file, or the other way round, would lock its owner out.
fn check_kinds(members: &[Member]) -> Result<()> {
    let is_folder = |member: &Member| member.is_folder || member.path.parent().is_some();
    let is_wrong = |member: &&Member| {
        let top = member.path.top();
        is_known(top) && is_folder(member) == top.ends_with(".json")
    };
    match members.iter().find(is_wrong) {
        Some(member) if is_folder(member) => Err(bad_entry(member.path.top(), "should be a file")),
        Some(member) => Err(bad_entry(member.path.top(), "should be a folder")),
        None => Ok(()),
    }
}

/// Takes the manifest out of the members, if there is one, and checks that it lists exactly the others.
fn take_manifest(file: &mut BufReader<File>, members: &mut Vec<Member>) -> Result<Option<Verified>> {
    let Some(at) = members.iter().position(|member| member.path.as_str() == MANIFEST) else { return Ok(None) };
    let member = members.remove(at);
    let manifest = read_manifest(file, &member)?;
    if manifest.format > FORMAT {
        return Err(bad("It was written by a newer Tavernkeep. Use that one to bring it back."));
    }
    let count = manifest.files.len();
    let files: HashMap<RelPath, Listed> = manifest.files.into_iter().map(|file| (file.path.clone(), file)).collect();
    let there = members.iter().filter(|member| !member.is_folder);
    for member in there.clone() {
        match files.get(&member.path) {
            Some(listed) if listed.size == member.record.size => {}
            Some(_) => {
                return Err(bad_entry(member.path.as_str(), "has another size than the archive's own list says"));
            }
            None => return Err(bad_entry(member.path.as_str(), "is not on the archive's own list")),
        }
    }
    if count != files.len() || count != there.count() {
        let here: BTreeSet<&RelPath> = members.iter().map(|member| &member.path).collect();
        let missing = files.keys().find(|path| !here.contains(path)).map_or("a file", RelPath::as_str);
        return Err(bad_entry(missing, "is on the archive's own list but is not there, or twice"));
    }
    let Manifest { handle, created, folders, .. } = manifest;
    let clash = folders.iter().find(|folder| folder.ancestors().any(|above| files.contains_key(above)));
    clash.map_or(Ok(()), |clash| Err(bad_entry(clash.as_str(), "is a file and a folder at once")))?;
    Ok(Some(Verified { handle, created, files, folders }))
}

fn read_manifest(file: &mut BufReader<File>, member: &Member) -> Result<Manifest> {
    if member.is_folder || member.record.size > MANIFEST_MAX {
        return Err(bad("Its own list is damaged."));
    }
    let mut text = Vec::new();
    let progress = Progress::default();
    copy(file, member, &mut vec![0; BUFFER], &progress, |bytes| {
        text.extend_from_slice(bytes);
        Ok(())
    })?;
    serde_json::from_slice(&text).map_err(|error| bad("Its own list is damaged.").because(error))
}

/// Hands the bytes of one file on, piece by piece, and checks them against the directory: its size, its CRC.
fn copy(
    file: &mut BufReader<File>,
    member: &Member,
    buffer: &mut [u8],
    progress: &Progress,
    mut pass_on: impl FnMut(&[u8]) -> Result<()>,
) -> Result<Version> {
    let damaged = |error: io::Error| match unreadable(error) {
        error if error.code() == "bad_archive" => bad_entry(member.path.as_str(), "is damaged").because(error),
        error => error,
    };
    file.seek(SeekFrom::Start(member.record.offset)).map_err(unreadable)?;
    let mut bounded = file.take(member.room);
    let mut content = content(&mut bounded, member)?;
    let mut hasher = Sha256::new();
    let mut left = member.record.size;
    loop {
        let length = content.read(buffer).map_err(damaged)?;
        if length == 0 {
            break;
        }
        left = left
            .checked_sub(length as u64)
            .ok_or_else(|| bad_entry(member.path.as_str(), "is larger than the archive says"))?;
        hasher.update(&buffer[..length]);
        pass_on(&buffer[..length])?;
        progress.passed(length)?;
    }
    if left != 0 {
        return Err(bad_entry(member.path.as_str(), "is smaller than the archive says"));
    }
    Ok(Version::seen_by(hasher))
}

/// Begins to unpack an entry at its local header, which must say the same as the directory.
fn content<'a, R: Read>(from: &'a mut Take<R>, member: &Member) -> Result<ZipFile<'a, Take<R>>> {
    let record = &member.record;
    let differs = || bad(format!("\"{}\" is not where the archive says, or is damaged.", shown(&record.name)));
    let options = ZipReadOptions::new()
        .override_compressed_size(record.packed)
        .override_uncompressed_size(record.size)
        .override_crc(record.crc32);
    let content = read_zipfile_from_stream_with_options(from, options)
        .map_err(|error| differs().because(error))?
        .ok_or_else(differs)?;
    let method = if record.method == 0 { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
    let agrees = content.name_raw() == record.name.as_bytes()
        && content.compressed_size() == record.packed
        && content.compression() == method
        && !content.encrypted();
    if agrees { Ok(content) } else { Err(differs()) }
}

/// The folder that an archive is unpacked into.
pub(crate) struct Staging<'a> {
    disk: &'a Disk,
    root: PathBuf,
    made: BTreeSet<PathBuf>,
}

/// A file on its way into the staging folder.
struct Output<'a> {
    disk: &'a Disk,
    file: File,
}

impl<'a> Staging<'a> {
    /// Makes the folder `root` to unpack into.
    pub(crate) fn new(disk: &'a Disk, root: PathBuf) -> Result<Self> {
        let mut staging = Self { disk, root, made: BTreeSet::new() };
        staging.make_folder("")?;
        Ok(staging)
    }

    pub(crate) fn make_folder(&mut self, path: &str) -> Result<()> {
        let path = self.root.join(path);
        if !self.made.contains(&path) {
            self.disk.make_folders(&path).map_err(unpacking)?;
            let above = path.ancestors().take_while(|above| above.starts_with(&self.root)).map(PathBuf::from);
            self.made.extend(above);
        }
        Ok(())
    }

    /// Brings the entries of all folders to the disk.
    pub(crate) fn finish(self) -> Result<()> {
        self.made.iter().try_for_each(|folder| self.disk.sync_folder(folder)).map_err(unpacking)
    }

    fn make_file(&mut self, path: &RelPath) -> Result<Output<'a>> {
        if let Some(parent) = path.parent() {
            self.make_folder(parent)?;
        }
        let file = self.disk.new_file(&self.root.join(path.as_str())).map_err(unpacking)?;
        Ok(Output { disk: self.disk, file })
    }
}

impl Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.disk.write(&mut self.file, bytes).map_err(unpacking)
    }

    fn finish(self, member: &Member, listed: Option<&Listed>) -> Result<()> {
        let modified: Option<SystemTime> = listed.map(Listed::modified).or(member.record.modified);
        let mode = listed.map(|listed| listed.mode).filter(|_| !is_secret(member.path.as_str()));
        // The owner can always read and write; nothing beyond the usual bits is brought back.
        let mode = mode.map(|mode| mode & 0o777 | 0o600);
        self.disk.dress(&self.file, modified, mode).and_then(|()| self.disk.sync(&self.file)).map_err(unpacking)
    }
}

fn unpacking(error: io::Error) -> Error {
    Error::storage("unpack the archive", error)
}
