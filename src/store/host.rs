//! Files of the host outside the data folder: the configuration, certificates, the client that is served, archives that
//! come and go, the log. They are here because this room alone touches files.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::disk::{Disk, parent, private, temp_in};
use super::names::RelPath;

/// A text file of the host, outside the data folder (the configuration, a certificate), of at most `limit` bytes.
pub fn read_host_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// Opens a plain file below a folder of the host that is served to browsers, with its size and time; `None` when there is
/// none. Links that lead out of the folder are not followed.
pub fn open_public(folder: &Path, path: &RelPath) -> io::Result<Option<(File, u64, Option<SystemTime>)>> {
    let found = folder.canonicalize().and_then(|root| {
        let path = folder.join(path.as_str()).canonicalize()?;
        if path.starts_with(&root) { Disk::default().open(&path).map(Some) } else { Ok(None) }
    });
    let file = match found {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(None),
        Err(error) => {
            // What is there and is no plain file is `InvalidInput`.
            use io::ErrorKind::{InvalidInput, NotADirectory, NotFound};
            return if matches!(error.kind(), NotFound | NotADirectory | InvalidInput) { Ok(None) } else { Err(error) };
        }
    };
    let meta = file.metadata()?;
    Ok(Some((file, meta.len(), meta.modified().ok())))
}

/// Opens a file of the host for reading: an archive to be restored.
pub fn open_host_file(path: &Path) -> io::Result<File> {
    Disk::default().open(path)
}

/// Writes a new file of the host, outside the data folder; refuses when it exists.
pub fn create_host_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = match path.file_name() {
        Some(name) => folder_of(path)?.join(name),
        None => path.to_owned(),
    };
    Disk::default().create(&path, bytes)
}

/// A new file of the host, outside the data folder, that appears under its name only when it is whole.
pub struct HostFile {
    temp: tempfile::NamedTempFile,
    path: PathBuf,
}

impl HostFile {
    /// Starts the file. Something else under its name is refused at the end. It belongs to whoever runs the program, also in
    /// somebody else's folder: a backup is not for others to read.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { temp: temp_in(folder_of(path)?)?, path: path.to_owned() })
    }

    /// Gives the file its name, once its bytes are on the disk, and brings the name there too.
    pub fn keep(self) -> io::Result<()> {
        self.temp.as_file().sync_all()?;
        self.temp.persist_noclobber(&self.path).map_err(|failed| failed.error)?;
        Disk::default().sync_folder(folder_of(&self.path)?)
    }
}

/// The folder of a file that may be named without one.
fn folder_of(path: &Path) -> io::Result<&Path> {
    Ok(match parent(path)? {
        empty if empty.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    })
}

impl Write for HostFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temp.flush()
    }
}

/// Replaces a small file of the host that is derived and may be stale, without waiting for the disk.
pub fn note_on_host(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temp = Disk::default().temp_in(parent(path)?)?;
    temp.write_all(bytes)?;
    temp.persist(path).map(drop).map_err(|failed| failed.error)
}

/// Opens a log file of the host for appending.
pub fn open_log(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    private(&mut options);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_served_file_is_opened_whatever_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = |path: &str| RelPath::parse(path).unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        std::fs::write(dir.path().join("small.js"), b"small").unwrap();
        File::create(dir.path().join("large.bin")).unwrap().set_len(1 << 32).unwrap();
        let (_, size, modified) = open_public(dir.path(), &path("small.js")).unwrap().unwrap();
        assert_eq!((size, modified.is_some()), (5, true));
        assert_eq!(open_public(dir.path(), &path("large.bin")).unwrap().unwrap().1, 1 << 32);
        for nothing in ["folder", "none", "small.js/below"] {
            assert!(open_public(dir.path(), &path(nothing)).unwrap().is_none(), "{nothing}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_a_served_folder_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let served = dir.path().join("served");
        std::fs::create_dir(&served).unwrap();
        std::fs::write(dir.path().join("outside"), b"1").unwrap();
        std::os::unix::fs::symlink("../outside", served.join("link")).unwrap();
        assert!(open_public(&served, &RelPath::parse("link").unwrap()).unwrap().is_none());
    }
}
