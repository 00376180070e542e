//! The ledger: what each person had models do, in tokens. One line for each answer, appended to
//! `_system/usage/<handle>/<YYYY-MM>.jsonl`; nothing in it is ever changed.
//!
//! It holds numbers and names of models, never words.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::{Ask, Connection, ConnectionId, Message, Piece, Usage, tokens};
use crate::blocking::blocking;
use crate::clock;
use crate::error::{Error, Result};
use crate::mutex::lock;
use crate::store::{FileName, Folder, Handle, Owner, Place, Store, Writer};

/// The longest look back, in days.
pub const LONGEST: u32 = 400;
/// How many entries are kept in memory while the disk refuses them.
const BACKLOG: usize = 1_000;
/// A month with more than this is not added up: a line has some 150 bytes, so it is half a million answers.
const SIZE_MAX: u64 = 64 * 1024 * 1024;
const DAY: i64 = 24 * 3600 * 1000;

/// What an answer was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A chat on our pages.
    Chat,
    /// A program, through `/v1`.
    Api,
    /// A connection was tried out.
    Test,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When, milliseconds since 1970.
    pub at: i64,
    /// Through which connection.
    pub connection: ConnectionId,
    /// Which model.
    pub model: String,
    /// Tokens in.
    pub prompt: u64,
    /// Tokens out, reasoning included.
    pub completion: u64,
    /// Whether they were counted here, because the provider did not report them.
    #[serde(default)]
    pub counted: bool,
    /// What for.
    pub source: Source,
}

impl Entry {
    /// An answer that has just ended. `reported` is what the provider says; without it `counted` is what we counted.
    pub fn now(
        connection: &ConnectionId,
        model: &str,
        reported: Option<Usage>,
        counted: impl FnOnce() -> Usage,
        source: Source,
    ) -> Self {
        let is_counted = reported.is_none();
        let Usage { prompt, completion } = reported.unwrap_or_else(counted);
        let (connection, model) = (connection.clone(), model.to_owned());
        Self { at: clock::now_ms(), connection, model, prompt, completion, counted: is_counted, source }
    }
}

/// What a person used of one model on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// `YYYY-MM-DD`, in UTC.
    pub date: String,
    /// Through which connection.
    pub connection: ConnectionId,
    /// Which model.
    pub model: String,
    /// How much.
    #[serde(flatten)]
    pub sum: Sum,
}

/// Answers added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sum {
    /// How many answers.
    pub requests: u64,
    /// Tokens in.
    pub prompt: u64,
    /// Tokens out.
    pub completion: u64,
    /// Of how many answers the tokens were counted here.
    pub counted: u64,
}

impl Sum {
    fn add(&mut self, entry: &Entry) {
        self.requests += 1;
        self.prompt = self.prompt.saturating_add(entry.prompt);
        self.completion = self.completion.saturating_add(entry.completion);
        self.counted += u64::from(entry.counted);
    }
}

/// What a person used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// By day, the newest first, and by model.
    pub days: Vec<Row>,
    /// In all.
    pub total: Sum,
}

/// The ledger of a data folder.
pub struct Ledger {
    store: Arc<Store>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Entries that the disk refused; they are written before the next one.
    backlog: VecDeque<(Handle, Entry)>,
    /// Files that this process has added to.
    begun: HashSet<Place>,
}

impl Ledger {
    /// The ledger of `store`.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, state: Mutex::default() }
    }

    /// Writes an entry down. A disk that refuses is no reason to withhold an answer that was paid for: the entry is kept
    /// in memory, said in the server's log, and written with the next one. Waits for the disk.
    pub fn record(&self, handle: &Handle, entry: Entry) {
        let mut state = lock(&self.state);
        let State { backlog, begun } = &mut *state;
        if backlog.len() == BACKLOG {
            tracing::error!("the ledger has been failing for too long: its oldest unwritten entry is dropped");
            backlog.pop_front();
        }
        backlog.push_back((handle.clone(), entry));
        let written = self.store.writing(&Owner::System, |writer| {
            while let Some((handle, entry)) = backlog.front() {
                self.append(writer, begun, handle, entry)?;
                backlog.pop_front();
            }
            Ok(())
        });
        if let Err(error) = written {
            tracing::error!(?error, waiting = backlog.len(), "the ledger of tokens could not be written");
        }
    }

    fn append(&self, writer: &Writer<'_>, begun: &mut HashSet<Place>, handle: &Handle, entry: &Entry) -> Result<()> {
        let place = folder(handle).file(&FileName::parse(&format!("{}.jsonl", clock::month(entry.at)))?);
        let mut line = serde_json::to_string(entry).map_err(Error::internal)?;
        line.push('\n');
        if !begun.contains(&place) {
            // A power cut may have left half a line there, which must not swallow this one.
            line.insert(0, '\n');
        }
        writer.append(&place, line.as_bytes())?;
        begun.insert(place);
        Ok(())
    }

    /// What `handle` used in the last `days` days, today included.
    pub fn summary(&self, handle: &Handle, days: u32) -> Result<Summary> {
        let today = clock::now_ms().div_euclid(DAY);
        let first = (today + 1 - i64::from(days.clamp(1, LONGEST))) * DAY;
        let (mut rows, mut total) = (BTreeMap::<(i64, ConnectionId, String), Sum>::new(), Sum::default());
        for month in self.months(handle, &clock::month(first))? {
            let text = self.store.read_at_most(&folder(handle).file(&month), SIZE_MAX)?;
            // A line that a power cut has torn is left out; it is the price of not losing the others.
            let entries = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
            for entry in entries.filter(|entry: &Entry| entry.at >= first) {
                total.add(&entry);
                let day = entry.at.div_euclid(DAY);
                rows.entry((-day, entry.connection.clone(), entry.model.clone())).or_default().add(&entry);
            }
        }
        let row = |((day, connection, model), sum): ((i64, _, _), _)| {
            let date = clock::rfc3339(-day * DAY).chars().take(10).collect();
            Row { date, connection, model, sum }
        };
        Ok(Summary { days: rows.into_iter().map(row).collect(), total })
    }

    /// Removes what is known of an account that is gone.
    pub fn forget(&self, handle: &Handle) -> Result<()> {
        lock(&self.state).backlog.retain(|(of, _)| of != handle);
        for month in self.months(handle, "")? {
            let place = folder(handle).file(&month);
            self.store.writing(&Owner::System, |writer| writer.remove(&place))?;
        }
        Ok(())
    }

    /// The files from this month on.
    fn months(&self, handle: &Handle, first: &str) -> Result<Vec<FileName>> {
        let names = self.store.list(&folder(handle))?.into_iter().map(|entry| entry.name);
        Ok(names.filter(|name| name.as_str().strip_suffix(".jsonl").is_some_and(|month| month >= first)).collect())
    }
}

fn folder(handle: &Handle) -> Place {
    Place::system().folder(Folder::USAGE).named(handle, "")
}

/// Watches one answer, and writes it into the ledger when it is over, however it ends: an answer that is stopped half way
/// has been paid for as well.
pub struct Meter {
    ledger: Arc<Ledger>,
    /// None once it is written.
    watched: Option<Watched>,
}

struct Watched {
    handle: Handle,
    connection: ConnectionId,
    model: String,
    source: Source,
    /// The prompt's words, should the provider not say how many tokens they are.
    prompt: String,
    answer: String,
    reported: Option<Usage>,
    begun: bool,
}

impl Meter {
    /// Is about to watch the answer to `ask`.
    pub fn new(ledger: &Arc<Ledger>, handle: &Handle, connection: &Connection, ask: &Ask, source: Source) -> Self {
        let words: Vec<String> = ask.messages.iter().map(Message::words).collect();
        let watched = Watched {
            handle: handle.clone(),
            connection: connection.id.clone(),
            model: ask.model.clone(),
            source,
            prompt: words.join("\n"),
            answer: String::new(),
            reported: None,
            begun: false,
        };
        Self { ledger: Arc::clone(ledger), watched: Some(watched) }
    }

    /// The model has taken the prompt. Before this nothing is written.
    pub fn begin(&mut self) {
        if let Some(watched) = &mut self.watched {
            watched.begun = true;
        }
    }

    /// A piece came in.
    pub fn see(&mut self, piece: &Piece) {
        let Some(watched) = &mut self.watched else { return };
        match piece {
            Piece::Text(text) | Piece::Reasoning(text) => watched.answer.push_str(text),
            Piece::Usage(usage) => watched.reported = Some(*usage),
            Piece::End(_) => {}
        }
    }

    /// Writes it down now, and says what was used.
    pub async fn settle(mut self) -> Result<Usage> {
        let (ledger, watched) = (Arc::clone(&self.ledger), self.watched.take());
        blocking(move || Ok(watched.map(|watched| watched.write(&ledger)).unwrap_or_default())).await
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let (ledger, watched) = (Arc::clone(&self.ledger), self.watched.take());
        let Some(watched) = watched.filter(|watched| watched.begun) else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || watched.write(&ledger))),
            Err(_) => drop(watched.write(&ledger)),
        }
    }
}

impl Watched {
    /// Waits for the disk, and counts, which takes a while for long texts.
    fn write(self, ledger: &Ledger) -> Usage {
        let count = |text: &str| u64::try_from(tokens::count(&self.model, text).tokens).unwrap_or(u64::MAX);
        let counted = || Usage { prompt: count(&self.prompt), completion: count(&self.answer) };
        let entry = Entry::now(&self.connection, &self.model, self.reported, counted, self.source);
        let used = Usage { prompt: entry.prompt, completion: entry.completion };
        if self.begun {
            ledger.record(&self.handle, entry);
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;

    fn entry(at: i64, model: &str, usage: Option<(u64, u64)>) -> Entry {
        let id = ConnectionId::parse("c1").unwrap();
        let reported = usage.map(|(prompt, completion)| Usage { prompt, completion });
        let counted = || Usage { prompt: 7, completion: 3 };
        Entry { at, ..Entry::now(&id, model, reported, counted, Source::Chat) }
    }

    #[test]
    fn days_and_models_are_added_up() {
        let (dir, store) = testing::house(&[]);
        let ledger = Ledger::new(Arc::new(store));
        let (ada, now) = (testing::ada(), clock::now_ms());
        assert_eq!(ledger.summary(&ada, 30).unwrap(), Summary::default());
        for (days, model, usage) in
            [(0, "a", Some((10, 20))), (0, "a", None), (0, "b", Some((1, 1))), (3, "a", Some((5, 5))), (45, "a", None)]
        {
            ledger.record(&ada, entry(now - days * DAY, model, usage));
        }
        let summary = ledger.summary(&ada, 30).unwrap();
        assert_eq!(summary.total, Sum { requests: 4, prompt: 23, completion: 29, counted: 1 });
        let rows: Vec<_> = summary.days.iter().map(|row| (row.model.as_str(), row.sum.requests)).collect();
        assert_eq!(rows, [("a", 2), ("b", 1), ("a", 1)]);
        assert!(summary.days[0].date > summary.days[2].date);
        assert_eq!(ledger.summary(&ada, 1).unwrap().total.requests, 3);
        assert_eq!(ledger.summary(&ada, LONGEST).unwrap().total.requests, 5);
        let bob = Handle::parse("bob").unwrap();
        assert_eq!(ledger.summary(&bob, 30).unwrap().total.requests, 0);

        // A torn line costs itself.
        let month = dir.path().join(format!("_system/usage/ada/{}.jsonl", clock::month(now)));
        let mut text = std::fs::read(&month).unwrap();
        text.extend_from_slice(b"{\"at\":1");
        std::fs::write(&month, text).unwrap();
        assert_eq!(ledger.summary(&ada, 1).unwrap().total.requests, 3);
        let ledger = Ledger::new(Arc::clone(&ledger.store));
        ledger.record(&ada, entry(now, "a", None));
        assert_eq!(ledger.summary(&ada, 1).unwrap().total.requests, 4);
        ledger.forget(&ada).unwrap();
        assert_eq!(ledger.summary(&ada, LONGEST).unwrap(), Summary::default());
    }

    #[test]
    fn what_the_disk_refuses_is_written_later() {
        let (dir, store) = testing::house(&[]);
        drop(store);
        let faults = testing::failing(0, true);
        let ledger = Ledger::new(Arc::new(testing::open(dir.path(), Some(Arc::clone(&faults)))));
        let ada = testing::ada();
        faults.rearm(1);
        ledger.record(&ada, entry(clock::now_ms(), "a", None));
        assert_eq!(ledger.summary(&ada, 1).unwrap().total.requests, 0);
        faults.rearm(0);
        ledger.record(&ada, entry(clock::now_ms(), "a", None));
        assert_eq!(ledger.summary(&ada, 1).unwrap().total.requests, 2);
    }
}
