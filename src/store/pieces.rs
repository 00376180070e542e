//! Files too large to be held in memory: read by ranges, written from pieces of others, moved, kept under a second name.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::disk::Disk;
use super::{Place, Stat, Store, Writer, failure, write_failure};
use crate::error::{Error, Result};

/// Pieces in which a file is looked through.
const PIECE: u64 = 1 << 20;

/// A file that is open for reading. It stays what it was when it was opened, whatever takes its place; it may only grow.
pub struct OpenFile {
    file: File,
    stat: Stat,
    place: Place,
    disk: Disk,
}

/// A part of a file that is being put together.
pub enum Piece<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// These of another file.
    Of(&'a OpenFile, Range<u64>),
}

impl Store {
    /// Opens a file for reading by ranges.
    pub fn open_file(&self, place: &Place) -> Result<OpenFile> {
        let opened = self.way_to(place, false).and_then(|path| self.disk.open(&path)).and_then(|file| {
            let stat = Stat::of(&file.metadata()?);
            Ok((file, stat))
        });
        let (file, stat) = opened.map_err(|error| failure("read a file", place, error))?;
        Ok(OpenFile { file, stat, place: place.clone(), disk: self.disk.clone() })
    }
}

impl OpenFile {
    /// What it looked like when it was opened.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// The file itself, to be looked into here and there.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The bytes of `range`, all of them.
    pub fn read(&self, range: &Range<u64>) -> Result<Vec<u8>> {
        self.disk.read_range(&self.file, range).map_err(|error| failure("read a file", &self.place, error))
    }

    /// Shows `look` the whole file, piece by piece.
    pub fn scan(&self, mut look: impl FnMut(&[u8])) -> Result<()> {
        use std::io::{Read, Seek};
        let mut from = &self.file;
        let mut piece = vec![0; usize::try_from(PIECE.min(self.stat.size.max(1))).map_err(Error::internal)?];
        let mut left = self.stat.size;
        let mut read = || {
            self.disk.step(super::Step::Read)?;
            from.seek(io::SeekFrom::Start(0))?;
            while left > 0 {
                let wanted = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                match from.read(&mut piece[..wanted]) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(read) => {
                        look(&piece[..read]);
                        left -= read as u64;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        read().map_err(|error: io::Error| failure("read a file", &self.place, error))
    }
}

impl Writer<'_> {
    /// Puts a file together from pieces, whole or not at all, and says what it looks like. `replaces` says whether it may
    /// take the place of another; else there being one is a conflict.
    pub fn assemble(&self, place: &Place, pieces: &[Piece<'_>], replaces: bool) -> Result<Stat> {
        let path = self.own(place)?;
        let disk = &self.store.disk;
        let put = || {
            disk.put(&path, replaces, |file| {
                pieces.iter().try_for_each(|piece| match piece {
                    Piece::Bytes(bytes) => disk.write(file, bytes),
                    Piece::Of(from, range) => disk.copy_range(&from.file, range, file),
                })
            })
        };
        self.store.moments.keep(&path);
        let mut stat = None;
        let made = self.with_folder(&path, || put().map(|made| stat = Some(made)));
        match (made, stat) {
            (Ok(()), Some(stat)) => Ok(stat),
            (Err(error), _) if !replaces && error.kind() == io::ErrorKind::AlreadyExists => Err(taken()),
            (Err(error), _) => Err(write_failure("save a file", place, error)),
            (Ok(()), None) => Err(Error::internal("a file was made and not seen")),
        }
    }

    /// Keeps what is at `from` under the name `to` as well: the same file where the disk can do that, else a copy.
    /// Whoever replaces `from` afterwards leaves the one at `to` as it was; what is appended to it before shows in both.
    pub fn keep_as(&self, from: &Place, to: &Place) -> Result<()> {
        let (source, target) = (self.own(from)?, self.own(to)?);
        let disk = &self.store.disk;
        match self.with_folder(&target, || disk.link(&source, &target)) {
            Ok(()) => self.sync_above(&target, to),
            Err(error) if is_about_space(&error) => Err(write_failure("keep a file", to, error)),
            Err(error) => {
                tracing::debug!(%error, "no second name; copying instead");
                self.copy(from, to)
            }
        }
    }

    /// Copies a file, with its time; refuses with a conflict when there is something at `to`.
    pub fn copy(&self, from: &Place, to: &Place) -> Result<()> {
        let open = self.store.open_file(from)?;
        let all = 0..open.stat.size;
        self.assemble(to, &[Piece::Of(&open, all)], false)?;
        Ok(())
    }

    /// Moves a file or folder within what the owner owns; refuses with a conflict when there is something at `to`.
    pub fn rename(&self, from: &Place, to: &Place) -> Result<()> {
        let (source, target) = (self.own(from)?, self.own(to)?);
        let disk = &self.store.disk;
        let looking = |error| write_failure("look at a file", to, error);
        if disk.exists(&target).map_err(looking)? {
            return Err(taken());
        }
        let Some(stat) = self.store.stat(from)? else { return Err(Error::not_found("There is no such file.")) };
        if stat.is_folder {
            self.store.moments.keep_below(&source);
        } else {
            self.store.moments.keep(&source);
        }
        match self.with_folder(&target, || disk.rename(&source, &target)) {
            Ok(()) => {
                self.sync_above(&target, to)?;
                if source.parent() == target.parent() { Ok(()) } else { self.sync_above(&source, from) }
            }
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices && stat.is_file => {
                self.copy(from, to)?;
                self.remove(from)
            }
            Err(error) => Err(super::swap::moving(from, error)),
        }
    }

    /// Removes a folder with all that is in it; one that is not there is fine.
    pub fn remove_folder(&self, place: &Place) -> Result<()> {
        let path = self.own(place)?;
        self.store.moments.keep_below(&path);
        self.store.disk.remove_tree(&path).map_err(|error| write_failure("remove a folder", place, error))
    }

    fn sync_above(&self, path: &Path, place: &Place) -> Result<()> {
        let Some(folder) = path.parent() else { return Ok(()) };
        self.store.disk.sync_folder(folder).map_err(|error| write_failure("save a folder", place, error))
    }
}

fn taken() -> Error {
    Error::conflict("conflict", "There already is something of that name. Nothing was changed.")
}

/// Whether a copy would only fail as well, or hide what is wrong.
fn is_about_space(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, NotFound, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), AlreadyExists | NotFound | QuotaExceeded | ReadOnlyFilesystem | StorageFull)
}
