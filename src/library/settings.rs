//! A user's settings, `settings.json`: everything that SillyTavern's client remembers, in one file that it reads and
//! writes whole. To us it is text: checked, indented, kept; never interpreted beyond what a page has to show.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::json::{self, Indented, Keys};
use super::snapshots::{self, Snapshot};
use crate::clock;
use crate::error::{Error, Result};
use crate::mutex::lock;
use crate::store::{Expect, FileName, Handle, Owner, Place, Stat, Store, Writer};

/// The file's name in a user's folder.
pub const FILE: FileName = FileName::known("settings.json");
/// The largest that are saved, in bytes.
const SIZE_MAX: u64 = 256 << 20;
const DAMAGED_PREFIX: &str = "settings.damaged-";
/// The settings of somebody new. SillyTavern's client asks its first questions when it sees `firstRun`.
const DEFAULTS: &[u8] = b"{\n    \"firstRun\": true\n}";
/// Keys of more bytes than this in all are not worth remembering; SillyTavern's client has 400.
const KEYS_MAX: usize = 16 * 1024;
/// SillyTavern's pace for automatic snapshots.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(10 * 60);

/// The settings of all users.
pub struct Settings {
    store: Arc<Store>,
    /// How many snapshots are kept for each user.
    keep: usize,
    pace: Mutex<HashMap<Handle, Pace>>,
    /// What was last saved here, so that the next save need not read it again.
    known: Mutex<HashMap<Handle, Known>>,
}

/// The keys of a settings file, for as long as the file is the one that was looked at.
struct Known {
    stat: Stat,
    keys: Keys,
}

/// When a user's settings were last snapshotted automatically, and whether they were saved since.
#[derive(Clone, Copy)]
struct Pace {
    /// `None`: not since a save; the start of the server made one, if it was due.
    last: Option<Instant>,
    saved_since: bool,
}

impl Pace {
    fn is_over(self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= SNAPSHOT_EVERY)
    }
}

/// How a user's settings are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// In one word.
    pub state: Condition,
    /// Bytes.
    pub size: u64,
    /// When they were last saved, milliseconds since 1970.
    pub modified: Option<i64>,
    /// Copies of damaged files that were set aside, newest first.
    pub damaged_copies: Vec<String>,
    /// The newest snapshot that can be read.
    pub last_good: Option<String>,
}

/// Whether settings can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// They can.
    Ok,
    /// They were damaged, were set aside, and nothing was brought back yet: they are the defaults.
    Damaged,
    /// There are none.
    Missing,
}

impl Settings {
    /// The settings in `store`; `keep` snapshots are kept for each user.
    pub fn new(store: Arc<Store>, keep: usize) -> Self {
        Self { store, keep: keep.max(1), pace: Mutex::default(), known: Mutex::default() }
    }

    /// Makes the folders of somebody new, and default settings if there are none.
    pub fn seed(&self, handle: &Handle) -> Result<()> {
        self.store.make_user_folders(handle)?;
        if self.store.stat(&place(handle))?.is_some() {
            return Ok(());
        }
        self.store.writing(&Owner::User(handle.clone()), |writer| match writer.create(&place(handle), DEFAULTS) {
            Err(error) if error.code() == "conflict" => Ok(()),
            other => other,
        })
    }

    /// The settings' text. Damaged settings are set aside and the defaults take their place, so that the page opens;
    /// missing ones are the defaults.
    pub fn load(&self, handle: &Handle) -> Result<Vec<u8>> {
        match self.store.read_if_there(&place(handle))? {
            Some(text) if json::check_object(&text).is_ok() => Ok(text),
            _ => self.store.writing(&Owner::User(handle.clone()), |writer| self.mend(writer, handle)),
        }
    }

    /// Looks again under the lock: the settings may be whole by now.
    fn mend(&self, writer: &Writer<'_>, handle: &Handle) -> Result<Vec<u8>> {
        if let Some(text) = self.store.read_if_there(&place(handle))? {
            if json::check_object(&text).is_ok() {
                return Ok(text);
            }
            let aside = FileName::parse(&format!("{DAMAGED_PREFIX}{}.json", clock::now_ms()))?;
            tracing::error!(%handle, %aside, "damaged settings were set aside; the last good snapshot is offered");
            writer.set_aside(&place(handle), &aside)?;
        }
        if let Err(error) = writer.create(&place(handle), DEFAULTS) {
            tracing::warn!(?error, %handle, "default settings could not be written");
        }
        Ok(DEFAULTS.to_vec())
    }

    /// Replaces the settings by `text`, if it is a JSON object and what is there is what is expected. Makes a snapshot
    /// now and then; and one of what is there, where a caller who does not say what they replace leaves out whole keys of
    /// it: a page that was stale, or loaded by half, must not wipe what it never knew. Returns the text as it was saved.
    pub fn save(&self, handle: &Handle, text: &[u8], expect: Expect) -> Result<Vec<u8>> {
        let Indented { text, keys } = json::check_and_indent(text, SIZE_MAX)?;
        self.store.writing(&Owner::User(handle.clone()), |writer| {
            if expect == Expect::Anything {
                self.keep_what_is_lost(writer, handle, &keys)?;
            }
            writer.write(&place(handle), &text, expect)?;
            self.remember(handle, keys);
            if self.is_due(handle) {
                self.snapshot_quietly(writer, handle, &text);
            }
            Ok(())
        })?;
        Ok(text)
    }

    /// The settings' text, for whoever looks for something in it: the defaults where there are none. Mends nothing.
    pub fn peek(&self, handle: &Handle) -> Result<String> {
        let text = self.store.read_if_there(&place(handle))?.unwrap_or_else(|| DEFAULTS.to_vec());
        json::check_object(&text).map_err(|cause| {
            let message = "The settings are damaged. Nothing was changed; bring a snapshot of them back first.";
            Error::conflict("damaged", message).because(cause)
        })?;
        String::from_utf8(text).map_err(Error::internal)
    }

    /// Changes the settings where `change` changes their text; every other byte stays. For whoever may write to that
    /// person's folder already.
    pub fn edit_in(
        &self,
        writer: &Writer<'_>,
        handle: &Handle,
        change: impl FnOnce(&str) -> Result<String>,
    ) -> Result<()> {
        let before = self.peek(handle)?;
        let after = change(&before)?;
        if after == before {
            return Ok(());
        }
        json::check_object(after.as_bytes())?;
        writer.write(&place(handle), after.as_bytes(), Expect::Anything)?;
        lock(&self.known).remove(handle);
        if self.is_due(handle) {
            self.snapshot_quietly(writer, handle, after.as_bytes());
        }
        Ok(())
    }

    /// How the settings are. Looks, and mends nothing.
    pub fn state(&self, handle: &Handle) -> Result<State> {
        let stat = self.store.stat(&place(handle))?;
        let text = self.store.read_if_there(&place(handle))?;
        let good = text.as_ref().is_some_and(|text| json::check_object(text).is_ok());
        let defaults = text.as_deref() == Some(DEFAULTS);
        let mut damaged_copies: Vec<String> = self
            .store
            .list(&Place::of(handle))?
            .into_iter()
            .map(|entry| entry.name.to_string())
            .filter(|name| name.starts_with(DAMAGED_PREFIX))
            .collect();
        damaged_copies.sort_unstable_by(|a, b| b.cmp(a));
        let state = match stat {
            None => Condition::Missing,
            Some(_) if !good || (defaults && !damaged_copies.is_empty()) => Condition::Damaged,
            Some(_) => Condition::Ok,
        };
        let last_good = if state == Condition::Ok { None } else { self.last_good(handle)? };
        Ok(State {
            state,
            size: stat.map_or(0, |stat| stat.size),
            modified: stat.map(|stat| clock::to_ms(stat.modified)),
            damaged_copies,
            last_good,
        })
    }

    fn last_good(&self, handle: &Handle) -> Result<Option<String>> {
        for snapshot in snapshots::list(&self.store, handle)? {
            let text = self.store.read(&snapshots::place(handle, &snapshot.name))?;
            if json::check_object(&text).is_ok() {
                return Ok(Some(snapshot.name.to_string()));
            }
        }
        Ok(None)
    }

    /// The snapshots, newest first.
    pub fn snapshots(&self, handle: &Handle) -> Result<Vec<Snapshot>> {
        snapshots::list(&self.store, handle)
    }

    /// Makes a snapshot of the settings as they are. `None` when the newest one already says the same.
    pub fn snapshot(&self, handle: &Handle) -> Result<Option<FileName>> {
        self.store.writing(&Owner::User(handle.clone()), |writer| {
            let text = self.store.read(&place(handle))?;
            snapshots::make(&self.store, writer, handle, &text, self.keep, None)
        })
    }

    /// A snapshot's text.
    pub fn read_snapshot(&self, handle: &Handle, name: &str) -> Result<Vec<u8>> {
        self.store.read(&snapshots::place(handle, &snapshots::check_name(handle, name)?))
    }

    /// Brings a snapshot back; the present settings become a snapshot first. A damaged snapshot is refused.
    pub fn restore_snapshot(&self, handle: &Handle, name: &str) -> Result<()> {
        let name = snapshots::check_name(handle, name)?;
        self.store.writing(&Owner::User(handle.clone()), |writer| {
            let text = self.store.read(&snapshots::place(handle, &name))?;
            json::check_object(&text).map_err(|cause| {
                Error::conflict("damaged", "This snapshot is damaged. The settings were not changed.").because(cause)
            })?;
            self.keep_present(writer, handle, Some(&name))?;
            writer.write(&place(handle), &text, Expect::Anything)
        })
    }

    /// Removes a snapshot.
    pub fn remove_snapshot(&self, handle: &Handle, name: &str) -> Result<()> {
        let place = snapshots::place(handle, &snapshots::check_name(handle, name)?);
        self.store.writing(&Owner::User(handle.clone()), |writer| match self.store.stat(&place)? {
            Some(_) => writer.remove(&place),
            None => Err(Error::not_found("There is no such snapshot.")),
        })
    }

    /// How a snapshot differs from the settings as they are.
    pub fn compare(&self, handle: &Handle, name: &str) -> Result<super::diff::Diff> {
        let parse = |text: &[u8]| {
            serde_json::from_slice::<serde_json::Value>(text)
                .map_err(|error| Error::conflict("damaged", "This cannot be compared: it is damaged.").because(error))
        };
        let then = parse(&self.read_snapshot(handle, name)?)?;
        let now = parse(&self.load(handle)?)?;
        Ok(super::diff::diff(&then, &now))
    }

    /// Back to the defaults; the present settings become a snapshot first.
    pub fn reset(&self, handle: &Handle) -> Result<()> {
        self.store.writing(&Owner::User(handle.clone()), |writer| {
            self.keep_present(writer, handle, None)?;
            writer.write(&place(handle), DEFAULTS, Expect::Anything)
        })
    }

    fn keep_present(&self, writer: &Writer<'_>, handle: &Handle, protect: Option<&FileName>) -> Result<()> {
        let Some(text) = self.store.read_if_there(&place(handle))? else { return Ok(()) };
        if text != DEFAULTS {
            snapshots::make(&self.store, writer, handle, &text, self.keep, protect)?;
        }
        Ok(())
    }

    /// Makes a snapshot of the present settings, if some of their top-level keys are not among `keys`.
    fn keep_what_is_lost(&self, writer: &Writer<'_>, handle: &Handle, keys: &Keys) -> Result<()> {
        let Some(stat) = self.store.stat(&place(handle))? else { return Ok(()) };
        if lock(&self.known).get(handle).is_some_and(|known| known.stat == stat && known.keys.is_subset(keys)) {
            return Ok(());
        }
        let Some(present) = self.store.read_if_there(&place(handle))? else { return Ok(()) };
        let is_covered = json::check_and_indent(&present, SIZE_MAX).is_ok_and(|present| present.keys.is_subset(keys));
        if present != DEFAULTS && !is_covered {
            tracing::warn!(%handle, "a save leaves out keys of the settings; what was there is kept as a snapshot");
            snapshots::make(&self.store, writer, handle, &present, self.keep, None)?;
        }
        Ok(())
    }

    /// Remembers the keys of what has just been saved. Called while nobody else writes.
    fn remember(&self, handle: &Handle, keys: Keys) {
        let small = keys.iter().map(|key| key.len()).sum::<usize>() <= KEYS_MAX;
        let mut known = lock(&self.known);
        match self.store.stat(&place(handle)) {
            Ok(Some(stat)) if small => drop(known.insert(handle.clone(), Known { stat, keys })),
            _ => drop(known.remove(handle)),
        }
    }

    /// The automatic snapshots that are due: at start for everyone, later for whoever saved since the last one.
    pub fn snapshot_due(&self, everyone: &[Handle]) {
        for handle in everyone {
            let due = {
                let mut pace = lock(&self.pace);
                match pace.get_mut(handle) {
                    None => {
                        pace.insert(handle.clone(), Pace { last: None, saved_since: false });
                        true
                    }
                    Some(pace) if pace.saved_since && pace.is_over() => {
                        *pace = Pace { last: Some(Instant::now()), saved_since: false };
                        true
                    }
                    Some(_) => false,
                }
            };
            if due
                && let Err(error) = self.snapshot(handle)
                && !error.is_not_found()
            {
                tracing::warn!(?error, %handle, "an automatic snapshot of the settings failed");
            }
        }
    }

    /// Whether a save now comes with a snapshot: the first one since the start, and then one in ten minutes.
    fn is_due(&self, handle: &Handle) -> bool {
        let mut pace = lock(&self.pace);
        match pace.get_mut(handle) {
            Some(pace) if !pace.is_over() => {
                pace.saved_since = true;
                false
            }
            _ => {
                pace.insert(handle.clone(), Pace { last: Some(Instant::now()), saved_since: false });
                true
            }
        }
    }

    /// The settings are saved already; a snapshot that fails is said in the log and tried again later.
    fn snapshot_quietly(&self, writer: &Writer<'_>, handle: &Handle, text: &[u8]) {
        if let Err(error) = snapshots::make(&self.store, writer, handle, text, self.keep, None) {
            tracing::warn!(?error, %handle, "an automatic snapshot of the settings failed");
        }
    }
}

/// Where a user's settings are.
pub fn place(handle: &Handle) -> Place {
    Place::of(handle).file(&FILE)
}

/// The default settings' text.
pub fn defaults() -> &'static [u8] {
    DEFAULTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{ada, house};

    fn kept(settings: &Settings) -> Vec<String> {
        let read = |snapshot: Snapshot| settings.read_snapshot(&ada(), snapshot.name.as_str()).unwrap();
        let texts = settings.snapshots(&ada()).unwrap().into_iter().map(read);
        texts.map(|text| String::from_utf8(text).unwrap().split_whitespace().collect()).collect()
    }

    #[test]
    fn a_save_that_leaves_out_what_it_never_knew_keeps_it() {
        let (_root, store) = house(&[]);
        let settings = Settings::new(Arc::new(store), 10);
        let save = |text: &str| settings.save(&ada(), text.as_bytes(), Expect::Anything).unwrap();
        save(r#"{"a":1,"b":{"c":1}}"#);
        let first = kept(&settings);
        assert_eq!(first, [r#"{"a":1,"b":{"c":1}}"#], "the first save since the start");
        save(r#"{"a":2,"b":{"d":1},"e":1}"#);
        assert_eq!(kept(&settings), first, "no key of the object is lost");
        let version = save(r#"{"a":3}"#);
        assert_eq!(kept(&settings).len(), 2);
        assert!(kept(&settings).contains(&r#"{"a":2,"b":{"d":1},"e":1}"#.to_owned()));
        settings.save(&ada(), b"{}", Expect::Version(crate::store::Version::of(&version))).unwrap();
        assert_eq!(kept(&settings).len(), 2, "whoever names what they replace has seen it");
    }

    #[test]
    fn bringing_a_snapshot_back_never_removes_it() {
        let (_root, store) = house(&[]);
        let store = Arc::new(store);
        let many = Settings::new(Arc::clone(&store), 10);
        for n in 0..4 {
            many.save(&ada(), format!(r#"{{"n":{n}}}"#).as_bytes(), Expect::Anything).unwrap();
            many.snapshot(&ada()).unwrap();
        }
        // The host has lowered the number since.
        let few = Settings::new(store, 2);
        let oldest = few.snapshots(&ada()).unwrap().pop().unwrap().name;
        many.save(&ada(), b"{\"n\":\"later\"}", Expect::Anything).unwrap();
        few.restore_snapshot(&ada(), oldest.as_str()).unwrap();
        assert!(few.read_snapshot(&ada(), oldest.as_str()).is_ok());
        assert_eq!(kept(&few), [r#"{"n":"later"}"#, r#"{"n":3}"#, r#"{"n":0}"#], "one more than usual, for a while");
    }
}
