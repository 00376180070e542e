//! Cards that come from outside, in every format. What they are is told from their content, never from a name.

use super::{Characters, Opened, file_stem};
use crate::error::Result;
use crate::library::cards::charx::{self, Asset, Charx, Shows};
use crate::library::cards::edit::{Edit, check_name};
use crate::library::cards::{Card, bad_card, picture, png};
use crate::pictures::PictureKind;
use crate::store::{self, Expect, FileName, Folder, Handle, Owner, Place};

/// Where backgrounds are, below the pictures of a character.
const BACKGROUNDS: FileName = FileName::known("backgrounds");
/// Bytes of the pictures that go into an archive beside the main one.
const EMOTIONS_MAX: u64 = 64 << 20;

/// The picture of a character that came without one: our own.
pub const BLANK: &[u8] = include_bytes!("blank.png");
/// The picture of the plain assistant: our own.
const ASSISTANT: &[u8] = include_bytes!("assistant.png");
/// The name of the plain assistant's file.
const ASSISTANT_ID: FileName = FileName::known("Assistant");

impl Characters {
    /// Takes a card in: PNG, JSON or CHARX. A PNG that needs no change stays as it is, byte for byte. Never replaces
    /// another character.
    pub fn import(&self, handle: &Handle, bytes: &[u8], file_name: Option<&str>) -> Result<Opened> {
        let (card, picture) = if png::is_png(bytes) {
            picture::check(bytes)?;
            let found = png::find(std::io::Cursor::new(bytes))?;
            let card = Card::parse(&found.json)?;
            let fits = found.plain && !card.has_private();
            let card = card.without_private();
            let file = if fits { bytes.to_vec() } else { png::write(bytes, &card)? };
            (card, file)
        } else if is_json(bytes) {
            let card = Card::parse(bytes)?.without_private();
            let file = png::write(BLANK, &card)?;
            (card, file)
        } else if charx::is_zip(bytes) {
            let Charx { card, icon, assets } = charx::read(bytes)?;
            let card = card.without_private();
            // A picture that cannot be shown is no reason to refuse the words.
            let icon = icon.and_then(|icon| picture::to_png(&icon, None).ok());
            let file = png::write(icon.as_deref().unwrap_or(BLANK), &card)?;
            self.keep_assets(handle, &card, &assets)?;
            (card, file)
        } else {
            return Err(bad_card("it is neither a PNG picture, nor JSON, nor a CHARX archive"));
        };
        let name = stem_of(file_name).filter(|_| card.name().trim().is_empty());
        let id = self.add(handle, name.as_deref().unwrap_or(card.name()), &picture)?;
        self.open(handle, &id)
    }

    /// Puts the pictures of a character where SillyTavern looks for them. What is there stays.
    fn keep_assets(&self, handle: &Handle, card: &Card, assets: &[Asset]) -> Result<()> {
        if assets.is_empty() {
            return Ok(());
        }
        let name = file_stem(card.name());
        self.store.writing(&Owner::User(handle.clone()), |writer| {
            for asset in assets {
                let folder = match asset.shows {
                    Shows::Emotion => sprites(handle, &name),
                    Shows::Background => sprites(handle, &name).file(&BACKGROUNDS),
                    Shows::Other => Place::of(handle).folder(Folder::IMAGES).file(&name),
                };
                match writer.write(&folder.file(&asset.name), &asset.bytes, Expect::Absent) {
                    Err(error) if error.code() == "conflict" => {}
                    other => other?,
                }
            }
            Ok(())
        })
    }

    /// The pictures of a character's moods, as many as fit into an archive.
    pub(super) fn emotions(&self, handle: &Handle, card: &Card) -> Result<Vec<(FileName, Vec<u8>)>> {
        let folder = sprites(handle, &file_stem(card.name()));
        let mut entries = self.store.list(&folder)?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let (mut found, mut size) = (Vec::new(), 0);
        for entry in entries {
            size += entry.stat.size;
            if size > EMOTIONS_MAX {
                break;
            }
            let Some(bytes) = store::if_there(self.store.read(&folder.file(&entry.name)))? else { continue };
            if PictureKind::of(&bytes).is_some() {
                found.push((entry.name, bytes));
            }
        }
        Ok(found)
    }

    /// Makes a character with nothing but what `edit` says.
    pub fn create(&self, handle: &Handle, edit: &Edit) -> Result<Opened> {
        let name = edit.name.as_deref().unwrap_or_default();
        check_name(name)?;
        let mut card = Card::new(name);
        card.apply(edit)?;
        let id = self.add(handle, name, &png::write(BLANK, &card)?)?;
        self.open(handle, &id)
    }

    /// Makes sure that there is the plain assistant. Says whether it had to be made.
    pub fn assistant(&self, handle: &Handle) -> Result<(Opened, bool)> {
        match self.open(handle, &ASSISTANT_ID) {
            Ok(opened) => return Ok((opened, false)),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        let mut card = Card::new("Assistant");
        card.apply(&Edit {
            description: Some(
                "{{char}} is a helpful assistant who answers plainly, says so when unsure, and plays no part."
                    .to_owned(),
            ),
            first_message: Some("Hello! What can I help you with?".to_owned()),
            creator_notes: Some("The plain assistant: a model without a character to play.".to_owned()),
            ..Default::default()
        })?;
        let file = png::write(ASSISTANT, &card)?;
        let id = self.add(handle, ASSISTANT_ID.as_str(), &file)?;
        Ok((self.open(handle, &id)?, true))
    }
}

/// Where the pictures of a character's moods are: by its name, not by its file, as with SillyTavern.
fn sprites(handle: &Handle, name: &FileName) -> Place {
    Place::of(handle).folder(Folder::CHARACTERS).file(name)
}

fn is_json(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// The name of a file without its ending, as a name for a character.
fn stem_of(file_name: Option<&str>) -> Option<String> {
    let name = file_name?.rsplit(['/', '\\']).next()?;
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    Some(file_stem(stem).to_string())
}
