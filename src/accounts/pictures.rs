//! Account pictures, `_system/avatars/<handle>`: the image's bytes as they came.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Result};
use crate::pictures::PictureKind;
use crate::store::{Expect, Folder, Handle, Owner, Place, Store};

/// The largest picture, in bytes.
pub const LARGEST: usize = 2 * 1024 * 1024;

/// An image whose kind was told from its first bytes, never from its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    bytes: Vec<u8>,
    kind: PictureKind,
}

impl Picture {
    /// Takes PNG, JPEG, WebP or GIF. SVG is refused: it can carry scripts.
    pub fn parse(bytes: Vec<u8>) -> Result<Self> {
        if bytes.len() > LARGEST {
            return Err(Error::new(crate::error::Kind::TooLarge, "too_large", "A picture can have at most 2 MiB."));
        }
        let kind = PictureKind::of(&bytes)
            .ok_or_else(|| Error::invalid("not_an_image", "That is not a PNG, JPEG, WebP or GIF picture."))?;
        Ok(Self { bytes, kind })
    }

    /// Reads `data:image/…;base64,…`, as SillyTavern's client sends it.
    pub fn from_data_url(url: &str) -> Result<Self> {
        let wrong = || Error::invalid("bad_data_url", "Invalid data URL");
        let (head, data) = url.strip_prefix("data:image/").and_then(|rest| rest.split_once(',')).ok_or_else(wrong)?;
        if !head.ends_with(";base64") {
            return Err(wrong());
        }
        Self::parse(STANDARD.decode(data.trim()).map_err(|_| wrong())?)
    }

    /// `data:image/…;base64,…`.
    pub fn to_data_url(&self) -> String {
        format!("data:{};base64,{}", self.media_type(), STANDARD.encode(&self.bytes))
    }

    /// The image's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its media type.
    pub fn media_type(&self) -> &'static str {
        self.kind.mime()
    }
}

/// Sets or removes the account's own picture.
pub fn save(store: &Store, handle: &Handle, picture: Option<&Picture>) -> Result<()> {
    store.writing(&Owner::System, |writer| match picture {
        Some(picture) => writer.write(&place(handle), &picture.bytes, Expect::Anything),
        None => writer.remove(&place(handle)),
    })
}

/// Where the account's own picture is.
pub fn place(handle: &Handle) -> Place {
    Place::system().folder(Folder::AVATARS).named(handle, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_picture_is_refused() {
        for wrong in [b"<svg onload=alert(1)>".as_slice(), b"%PDF-1.4", b""] {
            assert_eq!(Picture::parse(wrong.to_vec()).unwrap_err().code(), "not_an_image");
        }
    }

    #[test]
    fn data_urls_round_trip_and_lies_about_the_kind_do_not_count() {
        let png = Picture::parse(b"\x89PNG\r\n\x1a\n".to_vec()).unwrap();
        assert_eq!(Picture::from_data_url(&png.to_data_url()).unwrap(), png);
        let lie = png.to_data_url().replace("image/png", "image/svg+xml");
        assert_eq!(Picture::from_data_url(&lie).unwrap().media_type(), "image/png");
        for bad in ["", "data:text/html;base64,AAAA", "data:image/png,AAAA", "data:image/png;base64,!!!"] {
            assert!(Picture::from_data_url(bad).is_err(), "{bad}");
        }
    }
}
