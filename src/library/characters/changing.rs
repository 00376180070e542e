//! Changing a character: its words, its picture; copies of it for here and for elsewhere.

use super::{Characters, Opened, card_place, damaged};
use crate::error::{Error, Result};
use crate::library::bin::Often;
use crate::library::cards::edit::Edit;
use crate::library::cards::{charx, picture, png};
use crate::library::thumbnails::Of;
use crate::store::{Expect, FileName, Handle, Version};

/// In which form a card leaves the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A picture with the card inside.
    Png,
    /// The card's JSON.
    Json,
    /// An archive of the card, its picture, and the pictures of its moods.
    Charx,
}

impl Characters {
    /// Changes what `edit` names, if the file is still the version that whoever changes it has seen. A card in which
    /// nothing changes stays as it is, byte for byte.
    pub fn update(&self, handle: &Handle, id: &FileName, version: Version, edit: &Edit) -> Result<Opened> {
        let before = self.open(handle, id)?;
        expect_version(version, before.version)?;
        let old = before.card.map_err(|error| damaged(&error))?;
        let mut card = old.clone();
        card.apply(edit)?;
        if card != old {
            let bytes = png::write(&before.bytes, &card)?;
            self.replace(handle, id, &bytes, version, false)?;
        }
        self.open(handle, id)
    }

    /// Lets the card name a chat by its new name, if it names that one as the chat that SillyTavern opens; whether it did. The
    /// card that was is not kept: whoever wants the old name back gives it to the chat.
    pub fn chat_renamed(&self, handle: &Handle, id: &FileName, from: &FileName, to: &FileName) -> Result<bool> {
        let Some(before) = crate::store::if_there(self.open(handle, id))? else { return Ok(false) };
        let Ok(mut card) = before.card else { return Ok(false) };
        if card.chat() != Some(from.as_str()) {
            return Ok(false);
        }
        card.set_chat(to.as_str());
        let (place, bytes) = (card_place(handle, id)?, png::write(&before.bytes, &card)?);
        self.writing(handle, |writer| writer.write(&place, &bytes, Expect::Version(before.version)))?;
        Ok(true)
    }

    /// Replaces the picture: PNG, JPEG, WebP or GIF, possibly a part of it. What the card says stays.
    pub fn set_picture(
        &self,
        handle: &Handle,
        id: &FileName,
        bytes: &[u8],
        crop: Option<picture::Crop>,
    ) -> Result<Opened> {
        let picture = picture::to_png(bytes, crop)?;
        let before = self.open(handle, id)?;
        let card = before.card.map_err(|error| damaged(&error))?;
        let bytes = png::write(&picture, &card)?;
        self.replace(handle, id, &bytes, before.version, true)?;
        self.open(handle, id)
    }

    fn replace(&self, handle: &Handle, id: &FileName, bytes: &[u8], version: Version, picture: bool) -> Result<()> {
        let place = card_place(handle, id)?;
        let often = if picture { Often::Always } else { Often::OnceInAWhile };
        self.writing(handle, |writer| {
            let item = self.version_of(handle, id)?;
            self.bin.replacing(writer, handle, (item, often), &place, || {
                writer.write(&place, bytes, Expect::Version(version))
            })?;
            if picture {
                self.thumbnails.forget(writer, handle, Of::Character, &super::file_of(id)?);
            }
            Ok(())
        })
    }

    /// A second character like this one, under a name with a number.
    pub fn duplicate(&self, handle: &Handle, id: &FileName) -> Result<Opened> {
        let before = self.open(handle, id)?;
        let copy = self.add_from(handle, &format!("{}_", copy_base(id.as_str())), 1, &before.bytes)?;
        self.open(handle, &copy)
    }

    /// The card as a file for elsewhere, with its name and media type. Nothing private leaves: whether it is a favourite,
    /// and which chat was open.
    pub fn export(&self, handle: &Handle, id: &FileName, format: Format) -> Result<(Vec<u8>, String, &'static str)> {
        let opened = self.open(handle, id)?;
        match format {
            Format::Png => {
                let bytes = match opened.card {
                    Ok(card) if card.has_private() => png::write(&opened.bytes, &card.without_private())?,
                    // A damaged card leaves as it is: somebody may be able to mend it.
                    _ => opened.bytes,
                };
                Ok((bytes, format!("{id}.png"), "image/png"))
            }
            Format::Json => {
                let card = opened.card.map_err(|error| damaged(&error))?.without_private();
                Ok((card.to_json()?, format!("{id}.json"), "application/json"))
            }
            Format::Charx => {
                let mut card = opened.card.map_err(|error| damaged(&error))?.without_private();
                card.upgrade();
                let emotions = self.emotions(handle, &card)?;
                let bytes = charx::write(&card, &png::without_card(&opened.bytes)?, &emotions)?;
                Ok((bytes, format!("{id}.charx"), "application/zip"))
            }
        }
    }
}

/// `Ada` of `Ada_3`.
fn copy_base(id: &str) -> &str {
    match id.rsplit_once('_') {
        Some((base, number))
            if !base.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            base
        }
        _ => id,
    }
}

fn expect_version(expected: Version, found: Version) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::conflict("stale", "Someone else changed this character meanwhile. Nothing was changed; load it again.")
        .with_details(serde_json::json!({ "expected": expected.to_string(), "found": found.to_string() })))
}
