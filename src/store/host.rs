//! Files of the host outside the data folder: the configuration, certificates, the client that is served, archives that
//! come and go, the log. They are here because this room alone touches files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::disk::{Disk, parent, private};
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

/// A plain file below a folder of the host that is served to browsers, with its time; `None` when there is none. Links that
/// lead out of the folder are not followed.
pub fn read_public(folder: &Path, path: &RelPath) -> io::Result<Option<(Vec<u8>, Option<SystemTime>)>> {
    let found = folder.canonicalize().and_then(|root| Ok((folder.join(path.as_str()).canonicalize()?, root)));
    let (path, root) = match found {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if !path.starts_with(&root) || !fs::metadata(&path)?.is_file() {
        return Ok(None);
    }
    let modified = fs::metadata(&path)?.modified().ok();
    Ok(Some((fs::read(&path)?, modified)))
}

/// Opens a file of the host for reading: an archive to be restored.
pub fn open_host_file(path: &Path) -> io::Result<File> {
    Disk::default().open(path)
}

/// Writes a new file of the host, outside the data folder; refuses when it exists.
pub fn create_host_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = if path.parent().is_some_and(|above| above.as_os_str().is_empty()) {
        PathBuf::from(".").join(path)
    } else {
        path.to_owned()
    };
    Disk::default().create(&path, bytes)
}

/// A new file of the host, outside the data folder, that appears under its name only when it is whole.
pub struct HostFile {
    temp: tempfile::NamedTempFile,
    path: PathBuf,
}

impl HostFile {
    /// Starts the file. Something else under its name is refused at the end.
    pub fn create(path: &Path) -> io::Result<Self> {
        let folder = match parent(path)? {
            empty if empty.as_os_str().is_empty() => Path::new("."),
            folder => folder,
        };
        Ok(Self { temp: Disk::default().temp_in(folder)?, path: path.to_owned() })
    }

    /// Gives the file its name, once its bytes are on the disk.
    pub fn keep(self) -> io::Result<()> {
        self.temp.as_file().sync_all()?;
        self.temp.persist_noclobber(&self.path).map(drop).map_err(|failed| failed.error)
    }
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
