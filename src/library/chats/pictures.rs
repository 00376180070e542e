//! Pictures in chats: `user/images/<character>/<file>`, where SillyTavern keeps them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Chats;
use crate::error::{Error, Kind, Result};
use crate::library::cards::picture;
use crate::pictures::PictureKind;
use crate::store::{FileName, Folder, Handle, Place, Version};

/// The largest picture, in bytes.
const PICTURE_MAX: usize = 20 * 1024 * 1024;
/// Where SillyTavern's client finds them.
const PREFIX: &str = "/user/images/";

/// The folder and file of a picture by the path under which a message names it.
pub fn named(url: &str) -> Option<(FileName, FileName)> {
    let path = url.trim_start_matches('/').strip_prefix(PREFIX.trim_start_matches('/'))?;
    let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    let (folder, file) = path.split_once('/')?;
    PictureKind::by_name(file)?;
    Some((FileName::parse(folder).ok()?, FileName::parse(file).ok()?))
}

impl Chats {
    /// A picture and its type. Only pictures are given out, by their content.
    pub fn picture(&self, handle: &Handle, folder: &FileName, file: &FileName) -> Result<(&'static str, Vec<u8>)> {
        let none = || Error::not_found("There is no such picture.");
        PictureKind::by_name(file.as_str()).ok_or_else(none)?;
        let bytes = self.store.read_at_most(&place(handle, folder).file(file), PICTURE_MAX as u64)?;
        Ok((PictureKind::of(&bytes).ok_or_else(none)?.mime(), bytes))
    }

    /// Keeps a picture, and says under which path a message can name it. The same one is kept once.
    pub fn keep_picture(&self, handle: &Handle, folder: &FileName, bytes: &[u8]) -> Result<String> {
        if bytes.len() > PICTURE_MAX {
            return Err(Error::new(Kind::TooLarge, "too_large", "A picture may have at most 20 MiB."));
        }
        let kind = PictureKind::of(bytes).ok_or_else(|| {
            Error::new(Kind::Unsupported, "unsupported", "A picture has to be PNG, JPEG, WebP or GIF.")
        })?;
        picture::check(bytes)?;
        let version = Version::of(bytes).to_string();
        let name = FileName::parse(&format!("{}.{}", &version[..32], kind.ending()))?;
        let place = place(handle, folder).file(&name);
        self.writing(handle, |writer| match writer.create(&place, bytes) {
            Err(error) if error.code() == "conflict" => Ok(()),
            other => other,
        })?;
        Ok(format!("{PREFIX}{folder}/{name}"))
    }

    /// What a client names as a picture: one that is kept, or one as a `data:` URL, which is kept now.
    pub fn take_picture(&self, handle: &Handle, folder: &FileName, text: &str) -> Result<String> {
        if let Some(data) = text.strip_prefix("data:") {
            let encoded = data.split_once(";base64,").map(|(_, encoded)| encoded);
            let bytes = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
            let bytes = bytes.ok_or_else(|| Error::invalid("bad_picture", "This data URL is not one of a picture."))?;
            return self.keep_picture(handle, folder, &bytes);
        }
        let (folder, file) = named(text)
            .ok_or_else(|| Error::invalid("bad_picture", "A picture is named by its path, or given as a data URL."))?;
        let place = place(handle, &folder).file(&file);
        match self.store.stat(&place)? {
            Some(stat) if stat.is_file => Ok(format!("{PREFIX}{folder}/{file}")),
            _ => Err(Error::not_found("There is no such picture.")),
        }
    }
}

fn place(handle: &Handle, folder: &FileName) -> Place {
    Place::of(handle).folder(Folder::IMAGES).file(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_and_nothing_else() {
        let (folder, file) = named("/user/images/Ada%20T/1.png").unwrap();
        assert_eq!((folder.as_str(), file.as_str()), ("Ada T", "1.png"));
        assert!(named("user/images/Ada/1.JPG").is_some());
        for wrong in [
            "https://example.org/1.png",
            "/user/images/1.png",
            "/user/images/a/b/1.png",
            "/user/images/../1.png",
            "/user/images/Ada/..%2f1.png",
            "/user/images/Ada/x.svg",
            "/user/files/Ada/1.png",
            "",
        ] {
            assert!(named(wrong).is_none(), "{wrong}");
        }
    }
}
