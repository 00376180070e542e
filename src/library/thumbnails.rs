//! Small pictures, made when somebody first looks, and kept as derived files.
//!
//! SillyTavern never looks whether a thumbnail still fits its picture. Ours say of which picture they are, in a few bytes
//! behind the end of the JPEG that no reader looks at, and are made anew when that has changed.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::cards::picture;
use crate::error::{Error, Kind, Result};
use crate::store::{self, Expect, FileName, Folder, Handle, Owner, Place, Store};

/// A thumbnail above this size is not ours, in bytes.
const SIZE_MAX: u64 = 4 << 20;
/// SillyTavern's quality.
const QUALITY: u8 = 95;
/// Ours: four times as many pixels hide more.
const OWN_QUALITY: u8 = 85;
/// What stands before the picture's mark.
const SEAL: &[u8] = b"\0tavernkeep:";
/// How long the mark is.
const MARK: usize = 12;

/// Whose picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// A character's.
    Character,
    /// A persona's.
    Persona,
}

/// How large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// 96 × 144, as SillyTavern's client shows it.
    Small,
    /// 192 × 288, for our own pages on sharp screens.
    Large,
}

/// Everyone's thumbnails.
pub struct Thumbnails {
    store: Arc<Store>,
    /// Pictures are decoded one after the other: each may take a quarter of a gigabyte.
    turns: Arc<Semaphore>,
}

impl Thumbnails {
    /// Thumbnails of what is in `store`.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, turns: Arc::new(Semaphore::new(1)) }
    }

    /// Waits until it is one's turn to decode a picture. The turn lasts as long as the permit.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.map_err(Error::internal)
    }

    /// The thumbnail, if it was made before and fits the picture that has this mark.
    pub fn ready(&self, handle: &Handle, of: Of, size: Size, file: &FileName, mark: &str) -> Option<Vec<u8>> {
        let mut jpeg = self.store.read_at_most(&place(handle, of, size, file), SIZE_MAX).ok()?;
        let end = jpeg.len().checked_sub(SEAL.len() + MARK)?;
        let fits = jpeg[end..].strip_prefix(SEAL) == Some(mark.as_bytes());
        jpeg.truncate(end);
        fits.then_some(jpeg)
    }

    /// The thumbnail, made from the picture if need be. To be called by whoever has the turn.
    pub fn make(
        &self,
        handle: &Handle,
        of: Of,
        size: Size,
        file: &FileName,
        mark: &str,
        picture: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        if let Some(ready) = self.ready(handle, of, size, file, mark) {
            return Ok(ready);
        }
        let picture = picture()?;
        let (width, height, quality) = match size {
            Size::Small => (96, 144, QUALITY),
            Size::Large => (192, 288, OWN_QUALITY),
        };
        let jpeg = picture::thumbnail(&picture, width, height, quality)?;
        let sealed = [&jpeg, SEAL, mark.as_bytes()].concat();
        let kept = self.store.writing(&Owner::User(handle.clone()), |writer| {
            writer.write(&place(handle, of, size, file), &sealed, Expect::Anything)
        });
        match kept {
            Err(error) if !matches!(error.kind(), Kind::Busy) => {
                tracing::warn!(?error, %handle, %file, "a thumbnail could not be kept");
            }
            _ => {}
        }
        Ok(jpeg)
    }

    /// Removes the thumbnails of a picture that was replaced or removed: SillyTavern would go on showing them.
    pub fn forget(&self, writer: &store::Writer<'_>, handle: &Handle, of: Of, file: &FileName) {
        for size in [Size::Small, Size::Large] {
            let place = place(handle, of, size, file);
            let removed = match self.store.stat(&place) {
                Ok(Some(_)) => writer.remove(&place),
                other => other.map(drop),
            };
            if let Err(error) = removed {
                tracing::warn!(?error, %handle, %file, "a thumbnail could not be removed");
            }
        }
    }
}

fn place(handle: &Handle, of: Of, size: Size, file: &FileName) -> Place {
    let folder = match (of, size) {
        (Of::Character, Size::Small) => Folder::CHARACTER_THUMBNAILS,
        (Of::Character, Size::Large) => Folder::OWN_CHARACTER_THUMBNAILS,
        (Of::Persona, Size::Small) => Folder::PERSONA_THUMBNAILS,
        (Of::Persona, Size::Large) => Folder::OWN_PERSONA_THUMBNAILS,
    };
    Place::of(handle).folder(folder).file(file)
}
