//! The only calls to the file system. Each is one numbered step that tests can make fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::faults::{FILE, FOLDER, Faults, Step};
use super::names::TEMP_PREFIX;

/// What is not opened: a link, a pipe, a socket, a device, a folder in the place of a file.
#[derive(Debug, thiserror::Error)]
#[error("not a plain file")]
pub(super) struct NotPlain;

impl NotPlain {
    fn error() -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, Self)
    }

    /// Whether that is what went wrong.
    pub(super) fn is_why(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// What one look at a file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub size: u64,
    /// When the content was last written.
    pub modified: SystemTime,
    /// When the inode last changed (SillyTavern sorts snapshots by it); the same as `modified` where that is unknown.
    pub changed: SystemTime,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Whether it is a plain file: not a link, a socket, a device.
    pub is_file: bool,
    /// Tells a replaced file from the one before, even within one tick of the clock.
    pub inode: u64,
    /// Permission bits, such as 0600; 0 where there is no such thing.
    pub mode: u32,
}

impl Stat {
    pub(crate) fn of(meta: &fs::Metadata) -> Self {
        let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        #[cfg(unix)]
        let (changed, inode, mode) = {
            use std::os::unix::fs::MetadataExt;
            let nanos = u64::try_from(meta.ctime()).unwrap_or(0).saturating_mul(1_000_000_000)
                + u64::try_from(meta.ctime_nsec()).unwrap_or(0);
            (SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(nanos), meta.ino(), meta.mode() & 0o777)
        };
        #[cfg(not(unix))]
        let (changed, inode, mode) = (modified, 0, 0);
        Self { size: meta.len(), modified, changed, is_folder: meta.is_dir(), is_file: meta.is_file(), inode, mode }
    }
}

/// What a walk came across: its path below the start, and its metadata.
pub(crate) type Walked = (PathBuf, Stat);

/// The disk, possibly one that fails on purpose.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    faults: Option<Arc<Faults>>,
}

impl Disk {
    pub(crate) fn failing(faults: Arc<Faults>) -> Self {
        Self { faults: Some(faults) }
    }

    pub(crate) fn step(&self, step: Step) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.check(step))
    }

    /// Fails where a test has left no room for so many bytes.
    fn room(&self, bytes: u64) -> io::Result<()> {
        let free = self.faults.as_ref().and_then(|faults| faults.free());
        if free.is_some_and(|free| free < bytes) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Bytes that can still be written below `path`; a great many where that is not known.
    pub(crate) fn free(&self, path: &Path) -> io::Result<u64> {
        self.step(Step::Read)?;
        if let Some(free) = self.faults.as_ref().and_then(|faults| faults.free()) {
            return Ok(free);
        }
        #[cfg(unix)]
        let free = rustix::fs::statvfs(path).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))?;
        #[cfg(not(unix))]
        let free = u64::MAX;
        Ok(free)
    }

    /// Metadata of the thing itself, never of what a link points to.
    pub(crate) fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.step(Step::Read)?;
        fs::symlink_metadata(path).map(|meta| Stat::of(&meta))
    }

    /// The path of what is `below` a root, unless one of the folders in which it is, or it is itself if it has to be a
    /// `folder`, is a link: what is behind that lies elsewhere. The first one below the root may be a link, to another disk
    /// perhaps.
    pub(crate) fn way_to(&self, root: &Path, below: &Path, is_folder: bool) -> io::Result<PathBuf> {
        let mut path = root.to_owned();
        let parts = below.components().count();
        for (depth, part) in below.components().enumerate() {
            path.push(part);
            let is_passed = depth > 0 && (is_folder || depth + 1 < parts);
            if is_passed && fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink()) {
                return Err(NotPlain::error());
            }
        }
        Ok(path)
    }

    /// Opens a plain file for reading. Links, pipes and devices are refused, without waiting on them: they are not opened
    /// to begin with, and should one take the file's place just then, not waited on.
    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        self.step(Step::Read)?;
        if !fs::symlink_metadata(path)?.is_file() {
            return Err(NotPlain::error());
        }
        let mut options = OpenOptions::new();
        options.read(true);
        not_through_links(&mut options);
        let file = options.open(path)?;
        if file.metadata()?.is_file() { Ok(file) } else { Err(NotPlain::error()) }
    }

    /// The whole file, if it has at most `limit` bytes.
    pub(crate) fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let size = file.metadata()?.len();
        if size > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{size} bytes, at most {limit} are read")));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The entries of a folder with their metadata, in no order. Entries that vanish meanwhile are left out.
    pub(crate) fn list(&self, path: &Path) -> io::Result<Vec<(std::ffi::OsString, Stat)>> {
        self.step(Step::List)?;
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(meta) => entries.push((entry.file_name(), Stat::of(&meta))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    /// Whether there is anything at `path`, be it a link to nowhere.
    pub(crate) fn exists(&self, path: &Path) -> io::Result<bool> {
        match self.stat(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Everything below `root`, folders before what is in them, without following links. What vanishes meanwhile is left
    /// out.
    pub(crate) fn walk(&self, root: &Path) -> io::Result<Vec<Walked>> {
        self.step(Step::List)?;
        let mut found = Vec::new();
        for entry in walkdir::WalkDir::new(root).min_depth(1).follow_links(false) {
            let looked = entry.and_then(|entry| Ok((entry.metadata()?, entry)));
            let (meta, entry) = match looked {
                Ok(seen) => seen,
                Err(error) if error.path() != Some(root) && is_gone(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            let below = entry.path().strip_prefix(root).map_err(io::Error::other)?;
            found.push((below.to_owned(), Stat::of(&meta)));
        }
        Ok(found)
    }

    /// The plain files below `root`: their bytes, and how many.
    pub(crate) fn measure(&self, root: &Path) -> io::Result<(u64, u64)> {
        let files = self.walk(root)?.into_iter().filter(|(_, stat)| stat.is_file).count();
        let bytes = fs_extra::dir::get_size(root).map_err(|error| io::Error::other(error.to_string()))?;
        Ok((bytes, files as u64))
    }

    /// Replaces `path` by `bytes`: temporary file beside it, sync, rename, sync of the folder. After a failure the old
    /// file is there, whole (or, if only the last sync failed, the new one).
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.put(path, true, |file| self.write(file, bytes)).map(drop)
    }

    /// Like [`Disk::replace`], but refuses with `AlreadyExists` when there is something at `path`.
    pub(crate) fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.put(path, false, |file| self.write(file, bytes)).map(drop)
    }

    /// The same with whatever `fill` writes; the answer is what the new file looks like.
    pub(crate) fn put(
        &self,
        path: &Path,
        replaces: bool,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<Stat> {
        let folder = parent(path)?;
        let mut temp = self.temp_in(folder)?;
        fill(temp.as_file_mut())?;
        self.sync(temp.as_file())?;
        let stat = Stat::of(&temp.as_file().metadata()?);
        self.step(Step::Rename)?;
        if replaces {
            temp.persist(path).map_err(|failed| failed.error)?;
        } else {
            temp.persist_noclobber(path).map_err(|failed| failed.error)?;
        }
        self.sync_folder(folder)?;
        Ok(stat)
    }

    /// Copies `range` of one file to the end of what was written to another.
    pub(crate) fn copy_range(&self, from: &File, range: &Range<u64>, to: &mut File) -> io::Result<()> {
        self.step(Step::Write)?;
        let length = range.end.saturating_sub(range.start);
        self.room(length)?;
        let mut from = from;
        from.seek(io::SeekFrom::Start(range.start))?;
        // File to file: the kernel does it where it can.
        let copied = io::copy(&mut from.take(length), to)?;
        if copied == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// The bytes of `range`, all of them.
    pub(crate) fn read_range(&self, mut from: &File, range: &Range<u64>) -> io::Result<Vec<u8>> {
        self.step(Step::Read)?;
        let length = range.end.saturating_sub(range.start);
        let mut bytes = Vec::with_capacity(usize::try_from(length).map_err(io::Error::other)?);
        from.seek(io::SeekFrom::Start(range.start))?;
        from.take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Gives a file a second name; refuses with `AlreadyExists` when that is taken.
    pub(crate) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Step::Link)?;
        fs::hard_link(from, to)
    }

    /// A temporary file, mode 0600, that vanishes unless persisted.
    pub(crate) fn temp_in(&self, folder: &Path) -> io::Result<tempfile::NamedTempFile> {
        self.step(Step::Create)?;
        self.room(FILE)?;
        let temp = temp_in(folder)?;
        hand_over(temp.as_file(), folder);
        Ok(temp)
    }

    /// A file without a name, which nobody else can open and which vanishes with its last handle.
    pub(crate) fn unnamed_in(&self, folder: &Path) -> io::Result<File> {
        self.step(Step::Create)?;
        self.room(FILE)?;
        tempfile::tempfile_in(folder)
    }

    /// Makes a new file, mode 0600, for writing; refuses with `AlreadyExists` when there is something at `path`.
    pub(crate) fn new_file(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        private(&mut options);
        self.step(Step::Create)?;
        self.room(FILE)?;
        let file = options.open(path)?;
        hand_over(&file, parent(path)?);
        Ok(file)
    }

    /// Gives a file the time, and where there are such, the permission bits of the one it was copied from.
    pub(crate) fn dress(&self, file: &File, modified: Option<SystemTime>, mode: Option<u32>) -> io::Result<()> {
        self.step(Step::Write)?;
        #[cfg(unix)]
        if let Some(mode) = mode {
            use std::os::unix::fs::PermissionsExt;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        #[cfg(not(unix))]
        let _ = mode;
        modified.map_or(Ok(()), |modified| file.set_modified(modified))
    }

    /// Appends `bytes` by one write and syncs them. After a failure the file is as it was, its time included, or, where even
    /// cutting it back fails, ends in an incomplete line, which readers set aside.
    pub(crate) fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let is_new = match self.stat(path) {
            Ok(stat) if stat.is_file => false,
            Ok(_) => return Err(NotPlain::error()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        let mut options = OpenOptions::new();
        // Only what was surely made here is handed over: never what a link put there meanwhile leads to.
        options.append(true).create_new(is_new);
        private(&mut options);
        self.step(if is_new { Step::Create } else { Step::Read })?;
        self.room(if is_new { FILE } else { 0 })?;
        let mut file = options.open(path)?;
        if is_new {
            hand_over(&file, parent(path)?);
        }
        let before = file.seek(io::SeekFrom::End(0))?;
        let modified = file.metadata()?.modified()?;
        let written = self.write(&mut file, bytes).and_then(|()| {
            self.step(Step::Sync)?;
            file.sync_data()
        });
        if let Err(error) = written {
            // Best effort: the reader copes with a torn line where this fails as well.
            let cut = self.step(Step::Write).and_then(|()| file.set_len(before));
            let _ = cut.and_then(|()| file.set_modified(modified));
            return Err(error);
        }
        if is_new { self.sync_folder(parent(path)?) } else { Ok(()) }
    }

    /// Cuts a file to its first `size` bytes.
    pub(crate) fn cut(&self, path: &Path, size: u64) -> io::Result<()> {
        self.step(Step::Write)?;
        let mut options = OpenOptions::new();
        options.write(true);
        not_through_links(&mut options);
        let file = options.open(path)?;
        file.set_len(size)?;
        self.sync(&file)
    }

    /// Writes all of `bytes`. A failing step leaves half of them, as a full disk does.
    pub(crate) fn write(&self, file: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.step(Step::Write).and_then(|()| self.room(bytes.len() as u64)) {
            file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        file.write_all(bytes)
    }

    pub(crate) fn sync(&self, file: &File) -> io::Result<()> {
        self.step(Step::Sync)?;
        file.sync_all()
    }

    pub(crate) fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.step(Step::SyncFolder)?;
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Step::Rename)?;
        fs::rename(from, to)
    }

    /// Makes a folder (mode 0700) with those above it; one that exists is fine. What was made is synced.
    pub(crate) fn make_folders(&self, path: &Path) -> io::Result<()> {
        if fs::metadata(path).is_ok_and(|meta| meta.is_dir()) {
            return Ok(());
        }
        if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
            self.make_folders(above)?;
        }
        self.step(Step::MakeFolder)?;
        self.room(FOLDER)?;
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        match builder.create(path) {
            Ok(()) => match path.parent().filter(|above| !above.as_os_str().is_empty()) {
                Some(above) => {
                    hand_folder_over(path, above);
                    self.sync_folder(above)
                }
                None => Ok(()),
            },
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes a file; one that is not there is fine.
    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.step(Step::Remove)?;
        absent_is_fine(fs::remove_file(path))
    }

    /// Removes a folder with all that is in it, without following links; one that is not there is fine.
    pub(crate) fn remove_tree(&self, path: &Path) -> io::Result<()> {
        self.step(Step::Remove)?;
        absent_is_fine(fs::remove_dir_all(path))
    }

    /// Opens a lock file, making it if need be. Where the disk takes no writes, one that is there can still be locked.
    pub(crate) fn lock_file(&self, path: &Path) -> io::Result<File> {
        let opened = self.step(Step::Create).and_then(|()| match open_to_write(path, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match self.room(FILE).and_then(|()| open_to_write(path, true)) {
                    Ok(file) => {
                        hand_over(&file, parent(path)?);
                        Ok(file)
                    }
                    // Another process was quicker.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => open_to_write(path, false),
                    Err(error) => Err(error),
                }
            }
            other => other,
        });
        opened.or_else(|error| File::open(path).map_err(|_| error))
    }
}

fn open_to_write(path: &Path, create: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(create);
    private(&mut options);
    options.open(path)
}

/// A temporary file, mode 0600, that stays with whoever runs the program.
pub(super) fn temp_in(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(TEMP_PREFIX).suffix(".tmp").tempfile_in(folder)
}

/// Gives what root has just made to whoever owns the folder that it is in: a command that root runs beside the server of
/// another user must leave nothing that the server cannot read. Some file systems know no owners, so that this may fail.
#[cfg(unix)]
fn hand_over(made: &File, folder: &Path) {
    use std::os::unix::fs::{MetadataExt, fchown};
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let handed = fs::metadata(folder).and_then(|above| {
        if above.uid() == 0 || made.metadata()?.uid() == above.uid() {
            return Ok(());
        }
        fchown(made, Some(above.uid()), Some(above.gid()))
    });
    if let Err(error) = handed {
        tracing::warn!(%error, folder = %folder.display(), "a new file stays root's; the server may not be able to read it");
    }
}

#[cfg(not(unix))]
fn hand_over(_: &File, _: &Path) {}

/// The same for a folder, which is opened where it was made: a link that took its place is not followed.
#[cfg(unix)]
fn hand_folder_over(path: &Path, above: &Path) {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    match OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path) {
        Ok(folder) => hand_over(&folder, above),
        Err(error) => tracing::warn!(%error, folder = %path.display(), "a new folder could not be looked at"),
    }
}

#[cfg(not(unix))]
fn hand_folder_over(_: &Path, _: &Path) {}

/// Neither follows a link nor waits on a pipe.
fn not_through_links(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
        options.custom_flags(flags.bits().cast_signed());
    }
    #[cfg(not(unix))]
    let _ = options;
}

pub(super) fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = options;
}

pub(super) fn parent(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a path without a folder"))
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn is_gone(error: &walkdir::Error) -> bool {
    error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt, chown};

    use super::*;

    #[test]
    fn what_vanishes_during_a_walk_is_left_out_and_only_that() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..50 {
            fs::write(dir.path().join(format!("stays-{n}")), "words").unwrap();
        }
        std::thread::scope(|scope| {
            let coming_and_going = scope.spawn(|| {
                for n in 0..3_000 {
                    let folder = dir.path().join(format!("goes-{}", n % 20));
                    fs::create_dir(&folder).unwrap();
                    fs::write(folder.join("a"), "words").unwrap();
                    fs::remove_dir_all(&folder).unwrap();
                }
            });
            while !coming_and_going.is_finished() {
                let found = Disk::default().walk(dir.path()).unwrap();
                assert_eq!(found.iter().filter(|(path, _)| path.to_string_lossy().starts_with("stays")).count(), 50);
            }
        });
        let missing = Disk::default().walk(&dir.path().join("nothing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn nothing_is_cut_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, link) = (dir.path().join("outside"), dir.path().join("link"));
        fs::write(&outside, "words").unwrap();
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        assert!(Disk::default().cut(&link, 1).is_err());
        assert_eq!(fs::read(&outside).unwrap(), b"words");
    }

    /// As root, what is made in somebody's folder is theirs; as anybody else, nothing is attempted.
    #[test]
    fn what_root_makes_belongs_to_the_owner_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let euid = rustix::process::geteuid();
        let theirs = if euid.is_root() { (4321, 4322) } else { (euid.as_raw(), rustix::process::getegid().as_raw()) };
        let root = dir.path().join("house");
        fs::create_dir(&root).unwrap();
        if euid.is_root() {
            chown(&root, Some(theirs.0), Some(theirs.1)).unwrap();
        }
        let disk = Disk::default();
        disk.make_folders(&root.join("a/b")).unwrap();
        disk.replace(&root.join("a/replaced"), b"1").unwrap();
        disk.create(&root.join("a/b/created"), b"1").unwrap();
        disk.append(&root.join("appended"), b"1").unwrap();
        drop(disk.new_file(&root.join("new")).unwrap());
        drop(disk.lock_file(&root.join("lock")).unwrap());
        super::super::note_on_host(&root.join("note"), b"1").unwrap();
        for name in ["a", "a/b", "a/replaced", "a/b/created", "appended", "new", "lock", "note"] {
            let meta = fs::symlink_metadata(root.join(name)).unwrap();
            assert_eq!((meta.uid(), meta.gid()), theirs, "{name}");
        }
        // A backup stays with whoever wrote it.
        super::super::HostFile::create(&root.join("ada.zip")).unwrap().keep().unwrap();
        assert_eq!(fs::metadata(root.join("ada.zip")).unwrap().uid(), euid.as_raw());
    }

    #[test]
    fn an_owner_is_never_given_what_a_link_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("house"), dir.path().join("outside"));
        fs::create_dir(&root).unwrap();
        fs::write(&outside, b"1").unwrap();
        let before = fs::metadata(&outside).unwrap().uid();
        if rustix::process::geteuid().is_root() {
            chown(&root, Some(4321), Some(4321)).unwrap();
        }
        std::os::unix::fs::symlink(&outside, root.join("lock")).unwrap();
        drop(Disk::default().lock_file(&root.join("lock")).unwrap());
        assert_eq!(fs::metadata(&outside).unwrap().uid(), before);
    }
}
