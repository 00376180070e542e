//! What a list of characters needs to know of each card, kept in memory and checked against the files.
//!
//! A look at the list costs a look at the folder; only when that has changed are its entries looked at, and only cards
//! whose size, time or inode changed are opened. The same is kept in a derived file, so that a start need not open
//! thousands of cards.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::stem;
use crate::clock;
use crate::error::{Error, Kind, Result};
use crate::library::cards::{Card, png};
use crate::mutex::lock;
use crate::render;
use crate::store::{self, Entry, Expect, FileName, Folder, Handle, Owner, Place, Stat, Store, Version};

/// The format of the derived file.
const FORMAT: u32 = 2;
/// A derived file larger than this is not ours, in bytes.
const FILE_MAX: u64 = 512 << 20;
/// A folder that changed so shortly before it was looked at may change again without showing it.
const GRAIN: Duration = Duration::from_secs(2);
/// After this time the entries are looked at even if the folder did not change: some programs write into files that are
/// there.
const RECHECK: Duration = Duration::from_secs(60);
/// After this time the chats are looked at again, beside the request.
const CHATS_FRESH: Duration = Duration::from_secs(10);
/// The most threads that read cards.
const READERS_MAX: usize = 4;
/// Fewer cards than this are read by one thread.
const READERS_FROM: usize = 32;
/// The longest summary, in bytes.
const SUMMARY_MAX: usize = 240;
/// The longest name, creator or tag that is kept for the list, in characters.
const SHORT_MAX: usize = 200;
/// The most tags of one card that are kept for the list.
const TAGS_MAX: usize = 64;

/// What tells whether a file is still the one that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key(u64, u64, u64);

impl Key {
    /// Of no file.
    const NONE: Self = Self(u64::MAX, 0, 0);

    pub(super) fn of(stat: &Stat) -> Self {
        let since = stat.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(stat.size, since.as_nanos() as u64, stat.inode)
    }

    /// A short word for addresses, which changes with the file.
    pub(super) fn mark(self) -> String {
        let mut mark = Version::of(format!("{} {} {}", self.0, self.1, self.2).as_bytes()).to_string();
        mark.truncate(12);
        mark
    }
}

/// What the list knows of one card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The card's file name without its ending.
    pub id: FileName,
    pub(super) key: Key,
    /// When it came, in milliseconds since 1970.
    pub added: i64,
    /// What the character is called.
    pub name: Box<str>,
    /// Who made the card.
    pub creator: Box<str>,
    /// A few words about it.
    pub summary: Box<str>,
    /// The card's own tags.
    pub tags: Box<[Arc<str>]>,
    /// Whether it is a favourite.
    pub favorite: bool,
    /// Why it cannot be read, if so.
    pub damaged: Option<Box<str>>,
    /// Name, creator, tags and summary in small letters, for searching.
    pub(super) haystack: Box<str>,
}

impl Row {
    /// A word that changes with the file.
    pub fn mark(&self) -> String {
        self.key.mark()
    }

    fn read(id: FileName, stat: &Stat, card: &Result<Card>, tags: &Tags) -> Self {
        let added = clock::to_ms(stat.changed);
        let key = Key::of(stat);
        match card {
            Ok(card) => Self {
                added,
                key,
                name: short(card.name()),
                creator: short(card.creator()),
                summary: summary(card),
                tags: card.tags().into_iter().take(TAGS_MAX).map(|tag| tags.shared(tag)).collect(),
                favorite: card.favorite(),
                damaged: None,
                haystack: Box::default(),
                id,
            },
            Err(error) => Self {
                added,
                key,
                name: id.as_str().into(),
                creator: Box::default(),
                summary: Box::default(),
                tags: Box::default(),
                favorite: false,
                damaged: Some(error.message().into()),
                haystack: Box::default(),
                id,
            },
        }
        .searchable()
    }

    fn searchable(mut self) -> Self {
        let tags = self.tags.join("\n");
        self.haystack = format!("{}\n{}\n{tags}\n{}", self.name, self.creator, self.summary).to_lowercase().into();
        self
    }
}

/// Tags, each held once.
#[derive(Default)]
struct Tags(Mutex<HashSet<Arc<str>>>);

impl Tags {
    fn shared(&self, tag: &str) -> Arc<str> {
        let tag = short(tag);
        let mut known = lock(&self.0);
        if let Some(tag) = known.get(&*tag) {
            return Arc::clone(tag);
        }
        let tag: Arc<str> = tag.into();
        known.insert(Arc::clone(&tag));
        tag
    }
}

/// What is known of a character's chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChatsSeen {
    /// When one was last written to, in milliseconds since 1970; 0 for never.
    pub last: i64,
    /// Bytes of all.
    pub size: u64,
    /// How many.
    pub count: u32,
    /// The folder's own time, in nanoseconds: chats that came or went show in it.
    folder: u64,
}

/// Everything that is known of one person's characters, at one moment.
#[derive(Default)]
pub struct Snapshot {
    /// The cards, by file name.
    pub rows: Vec<Arc<Row>>,
    /// Their chats, by the name of the folder.
    pub chats: HashMap<FileName, ChatsSeen>,
}

impl Snapshot {
    /// The row of one card.
    pub fn row(&self, id: &FileName) -> Option<&Arc<Row>> {
        self.rows.binary_search_by(|row| row.id.cmp(id)).ok().and_then(|at| self.rows.get(at))
    }
}

/// The index of everyone who looked at their list.
pub(super) struct Index {
    store: Arc<Store>,
    known: Mutex<HashMap<Handle, Arc<Known>>>,
}

/// One person's index.
struct Known {
    /// Held while somebody looks at the files, so that the others wait for what that finds.
    looking: Mutex<Looked>,
    now: Mutex<Option<Arc<Snapshot>>>,
    tags: Tags,
    /// Whether somebody looks at the chats beside the requests.
    chats_under_way: AtomicBool,
}

#[derive(Default)]
struct Looked {
    /// How the folder was when its entries were last looked at, and when that was.
    folder: Option<(Stat, Instant)>,
    chats: Option<Instant>,
    /// Whether the derived file says less than we know.
    unsaved: bool,
    saved: Option<Instant>,
}

/// The derived file.
#[derive(Serialize, Deserialize)]
struct Saved {
    format: u32,
    cards: Vec<SavedRow>,
    chats: Vec<(FileName, ChatsSeen)>,
}

#[derive(Serialize, Deserialize)]
struct SavedRow(FileName, Key, i64, Box<str>, Box<str>, Box<str>, Vec<Box<str>>, bool, Option<Box<str>>);

impl Index {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, known: Mutex::default() }
    }

    fn known(&self, handle: &Handle) -> Arc<Known> {
        let mut known = lock(&self.known);
        Arc::clone(known.entry(handle.clone()).or_insert_with(|| {
            Arc::new(Known {
                looking: Mutex::default(),
                now: Mutex::default(),
                tags: Tags::default(),
                chats_under_way: AtomicBool::new(false),
            })
        }))
    }

    /// Forgets somebody, whose folder was replaced or removed.
    pub(super) fn forget(&self, handle: &Handle) {
        lock(&self.known).remove(handle);
    }

    /// Forgets what the derived file says as well, for somebody who has left for good.
    pub(super) fn erase(&self, handle: &Handle) -> Result<()> {
        self.forget(handle);
        let place = saved_place(handle);
        if self.store.stat(&place)?.is_none() {
            return Ok(());
        }
        self.store.writing(&Owner::System, |writer| writer.remove(&place))
    }

    /// Lets the next look write the derived file at once, if anything has changed.
    pub(super) fn save_at_next_look(&self, handle: &Handle) {
        lock(&self.known(handle).looking).saved = None;
    }

    /// What is known now. Looks at the folder, and at what has changed in it.
    pub(super) fn look(self: &Arc<Self>, handle: &Handle) -> Result<Arc<Snapshot>> {
        let known = self.known(handle);
        let mut looked = lock(&known.looking);
        let place = characters(handle);
        let folder = self.store.stat(&place)?;
        let before = lock(&known.now).clone();
        let snapshot = match (before, folder, looked.folder) {
            (Some(before), Some(folder), Some((then, at))) if is_same(&folder, &then, at) => before,
            (before, ..) => {
                let first = before.is_none();
                let before = before.unwrap_or_else(|| Arc::new(self.saved(handle, &known.tags)));
                let snapshot = self.scan(handle, &known, &before, first)?;
                looked.unsaved |= snapshot.rows != before.rows || (first && snapshot.chats != before.chats);
                if first {
                    looked.chats = Some(Instant::now());
                }
                looked.folder = folder.map(|folder| (folder, Instant::now()));
                let snapshot = Arc::new(snapshot);
                *lock(&known.now) = Some(Arc::clone(&snapshot));
                snapshot
            }
        };
        if looked.unsaved && looked.saved.is_none_or(|at| at.elapsed() >= RECHECK) {
            looked.unsaved = false;
            // After a start this took a while anyhow; later nobody waits for it.
            match looked.saved.replace(Instant::now()) {
                None => self.save(handle, &snapshot),
                Some(_) => self.save_aside(handle, &snapshot),
            }
        }
        if looked.chats.is_some_and(|at| at.elapsed() >= CHATS_FRESH) {
            looked.chats = Some(Instant::now());
            self.look_at_chats_aside(handle, &known);
        }
        Ok(snapshot)
    }

    /// The row of one card, as it is now. Looks at that card only, if the list is known.
    pub(super) fn row(self: &Arc<Self>, handle: &Handle, id: &FileName) -> Result<Option<Arc<Row>>> {
        let place = super::card_place(handle, id)?;
        let Some(stat) = self.store.stat(&place)?.filter(|stat| stat.is_file) else { return Ok(None) };
        let known = self.known(handle);
        let now = lock(&known.now).clone();
        if let Some(row) = now.as_ref().and_then(|now| now.row(id))
            && row.key == Key::of(&stat)
        {
            return Ok(Some(Arc::clone(row)));
        }
        Ok(self.read_row(handle, id, &known.tags)?.map(Arc::new))
    }

    /// What is known of one character's chats, looked at now.
    pub(super) fn chats_of(&self, handle: &Handle, id: &FileName) -> Result<ChatsSeen> {
        let folder = Place::of(handle).folder(Folder::CHATS).file(id);
        let Some(stat) = self.store.stat(&folder)?.filter(|stat| stat.is_folder) else {
            return Ok(ChatsSeen::default());
        };
        let mut seen = ChatsSeen { folder: nanos(stat.modified), ..ChatsSeen::default() };
        for entry in self.store.list(&folder)? {
            if entry.name.as_str().ends_with(".jsonl") {
                seen.last = seen.last.max(clock::to_ms(entry.stat.modified));
                seen.size += entry.stat.size;
                seen.count += 1;
            }
        }
        Ok(seen)
    }

    /// Reads what is new or changed; keeps the rest.
    fn scan(&self, handle: &Handle, known: &Known, before: &Snapshot, chats_too: bool) -> Result<Snapshot> {
        let mut rows: BTreeMap<FileName, Arc<Row>> = BTreeMap::new();
        let mut changed = Vec::new();
        for entry in self.store.list(&characters(handle))? {
            let Some(id) = stem(&entry.name) else { continue };
            match before.row(&id) {
                Some(row) if row.key == Key::of(&entry.stat) => drop(rows.insert(id, Arc::clone(row))),
                _ => changed.push(id),
            }
        }
        for row in self.read_rows(handle, changed, &known.tags)? {
            let added = before.row(&row.id).map_or(row.added, |old| old.added.min(row.added));
            rows.insert(row.id.clone(), Arc::new(Row { added, ..row }));
        }
        let chats = if chats_too { self.scan_chats(handle, &before.chats, false)? } else { before.chats.clone() };
        Ok(Snapshot { rows: rows.into_values().collect(), chats })
    }

    /// Reads cards, on several threads where there are many.
    fn read_rows(&self, handle: &Handle, ids: Vec<FileName>, tags: &Tags) -> Result<Vec<Row>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(READERS_MAX);
        let threads = if ids.len() < READERS_FROM { 1 } else { threads };
        let next = AtomicUsize::new(0);
        let work = || {
            let mut rows = Vec::new();
            while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
                rows.extend(self.read_row(handle, id, tags)?);
            }
            Ok(rows)
        };
        let parts: Vec<Result<Vec<Row>>> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut parts = vec![work()];
            for other in others {
                parts.push(other.join().unwrap_or_else(|_| Err(Error::internal("a reader of cards panicked"))));
            }
            parts
        });
        let mut rows = Vec::with_capacity(ids.len());
        for part in parts {
            rows.extend(part?);
        }
        Ok(rows)
    }

    /// Reads one card for the list. One that cannot be understood has a row that says so; one that has vanished has none.
    fn read_row(&self, handle: &Handle, id: &FileName, tags: &Tags) -> Result<Option<Row>> {
        let place = super::card_place(handle, id)?;
        let opened = match self.store.open_file(&place) {
            Ok(opened) => opened,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let card = png::find(opened.file()).and_then(|found| Card::parse(&found.json));
        let mut row = Row::read(id.clone(), opened.stat(), &card, tags);
        if let Err(error) = card
            && error.kind() == Kind::Storage
        {
            tracing::warn!(?error, %handle, %id, "a card could not be read");
            // The disk may think better of it, without the file changing.
            row.key = Key::NONE;
        }
        Ok(Some(row))
    }

    /// Looks at the folders of all chats. One whose time did not change is looked into only if this is to be `thorough`, for
    /// chats grow without it; one that was empty then is so still.
    fn scan_chats(
        &self,
        handle: &Handle,
        before: &HashMap<FileName, ChatsSeen>,
        thorough: bool,
    ) -> Result<HashMap<FileName, ChatsSeen>> {
        let mut chats = HashMap::new();
        for Entry { name: id, stat } in self.store.list_folder_entries(&Place::of(handle).folder(Folder::CHATS))? {
            let known = before.get(&id).filter(|known| known.folder == nanos(stat.modified));
            let seen = match known {
                Some(known) if known.count == 0 || !thorough => *known,
                _ => self.chats_of(handle, &id)?,
            };
            chats.insert(id, seen);
        }
        Ok(chats)
    }

    /// Looks at all chats on a thread of its own: the list need not wait for thousands of files.
    fn look_at_chats_aside(self: &Arc<Self>, handle: &Handle, known: &Arc<Known>) {
        if known.chats_under_way.swap(true, Ordering::AcqRel) {
            return;
        }
        let (index, handle, known) = (Arc::clone(self), handle.clone(), Arc::clone(known));
        let looking = Arc::clone(&known);
        let started = std::thread::Builder::new().name("chats".to_owned()).spawn(move || {
            let before = lock(&looking.now).clone().unwrap_or_default();
            match index.scan_chats(&handle, &before.chats, true) {
                Ok(chats) => index.replace_chats(&looking, chats),
                Err(error) => tracing::warn!(?error, %handle, "the chats could not be looked at"),
            }
            looking.chats_under_way.store(false, Ordering::Release);
        });
        if let Err(error) = started {
            tracing::warn!(%error, "no thread to look at the chats");
            known.chats_under_way.store(false, Ordering::Release);
        }
    }

    fn replace_chats(&self, known: &Known, chats: HashMap<FileName, ChatsSeen>) {
        let mut now = lock(&known.now);
        if let Some(before) = now.as_ref() {
            *now = Some(Arc::new(Snapshot { rows: before.rows.clone(), chats }));
        }
    }

    /// Keeps what was just seen of some characters' chats.
    pub(super) fn note_chats(&self, handle: &Handle, seen: &[(FileName, ChatsSeen)]) {
        let known = self.known(handle);
        let mut now = lock(&known.now);
        let Some(before) = now.as_ref() else { return };
        let differs = |(id, seen): &&(FileName, ChatsSeen)| before.chats.get(id).copied().unwrap_or_default() != *seen;
        if seen.iter().any(|one| differs(&one)) {
            let mut chats = before.chats.clone();
            chats.extend(seen.iter().cloned());
            *now = Some(Arc::new(Snapshot { rows: before.rows.clone(), chats }));
        }
    }

    /// What the derived file says; nothing where it is missing, damaged or of another format.
    fn saved(&self, handle: &Handle, tags: &Tags) -> Snapshot {
        let text = match store::if_there(self.store.read_at_most(&saved_place(handle), FILE_MAX)) {
            Ok(Some(text)) => text,
            Ok(None) => return Snapshot::default(),
            Err(error) => {
                tracing::warn!(?error, %handle, "the index of characters could not be read; it is made anew");
                return Snapshot::default();
            }
        };
        let saved: Saved = match serde_json::from_slice(&text) {
            Ok(saved) => saved,
            Err(error) => {
                tracing::warn!(%error, %handle, "the index of characters is damaged; it is made anew");
                return Snapshot::default();
            }
        };
        if saved.format != FORMAT {
            return Snapshot::default();
        }
        let mut rows: Vec<Arc<Row>> = saved.cards.into_iter().map(|row| Arc::new(row.into_row(tags))).collect();
        rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        rows.dedup_by(|a, b| a.id == b.id);
        Snapshot { rows, chats: saved.chats.into_iter().collect() }
    }

    fn save_aside(self: &Arc<Self>, handle: &Handle, snapshot: &Arc<Snapshot>) {
        let (index, handle, snapshot) = (Arc::clone(self), handle.clone(), Arc::clone(snapshot));
        let named = std::thread::Builder::new().name("index".to_owned());
        if let Err(error) = named.spawn(move || index.save(&handle, &snapshot)) {
            tracing::warn!(%error, "no thread to save the index of characters");
        }
    }

    /// Writes the derived file. If that fails, the next start takes longer, and nothing else.
    fn save(&self, handle: &Handle, snapshot: &Snapshot) {
        let saved = Saved {
            format: FORMAT,
            cards: snapshot.rows.iter().map(|row| SavedRow::of(row)).collect(),
            chats: snapshot.chats.iter().map(|(id, seen)| (id.clone(), *seen)).collect(),
        };
        let written = serde_json::to_vec(&saved).map_err(Error::internal).and_then(|text| {
            drop(saved);
            self.store.writing(&Owner::System, |writer| writer.write(&saved_place(handle), &text, Expect::Anything))
        });
        if let Err(error) = written {
            tracing::warn!(?error, %handle, "the index of characters could not be saved");
        }
    }
}

impl SavedRow {
    fn of(row: &Row) -> Self {
        let tags = row.tags.iter().map(|tag| Box::from(&**tag)).collect();
        Self(
            row.id.clone(),
            row.key,
            row.added,
            row.name.clone(),
            row.creator.clone(),
            row.summary.clone(),
            tags,
            row.favorite,
            row.damaged.clone(),
        )
    }

    fn into_row(self, tags: &Tags) -> Row {
        let Self(id, key, added, name, creator, summary, own, favorite, damaged) = self;
        let own = own.iter().map(|tag| tags.shared(tag)).collect();
        let haystack = Box::default();
        Row { id, key, added, name, creator, summary, tags: own, favorite, damaged, haystack }.searchable()
    }
}

/// Whether a folder is surely as it was when it was looked at.
fn is_same(now: &Stat, then: &Stat, at: Instant) -> bool {
    let settled = |stat: &Stat| {
        // The time of the look is known by the other clock only; what passed since then is known by both.
        let looked = SystemTime::now().checked_sub(at.elapsed());
        looked.is_some_and(|looked| looked.duration_since(stat.modified).is_ok_and(|before| before >= GRAIN))
    };
    now.modified == then.modified && now.inode == then.inode && settled(then) && at.elapsed() < RECHECK
}

fn nanos(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

fn characters(handle: &Handle) -> Place {
    Place::of(handle).folder(Folder::CHARACTERS)
}

fn saved_place(handle: &Handle) -> Place {
    Place::system().folder(Folder::CARD_INDEX).named(handle, ".json")
}

fn short(text: &str) -> Box<str> {
    match text.char_indices().nth(SHORT_MAX) {
        Some((end, _)) => text[..end].into(),
        None => text.into(),
    }
}

/// A few words about a card: what its maker says, else the beginning of the description; without markup.
fn summary(card: &Card) -> Box<str> {
    let notes = render::words(card.creator_notes(), SUMMARY_MAX);
    if notes.is_empty() { render::words(card.description(), SUMMARY_MAX).into() } else { notes.into() }
}
