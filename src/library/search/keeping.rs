//! Bringing an index up to date: a little at once, before the search that asks for it; much on a thread of its own that
//! stands back, while searches find what is there already.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::reading::{self, Read};
use super::roll::{Known, Look, Roll};
use super::shelf::{Changing, Entry, Found};
use super::{Fault, NOBODY, Open, Progress, Search, attempt, who};
use crate::blocking;
use crate::error::Result;
use crate::library::chats::{ChatRef, Message};
use crate::mutex::lock;
use crate::store::{Handle, OpenFile};

/// So many bytes of chats are read while the person waits.
const AT_ONCE: u64 = 2 << 20;
/// After so many bytes, what was read can be found.
const BETWEEN_COMMITS: u64 = 64 << 20;
/// Chats are looked at no more often than this, and more rarely where looking takes long.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// After a failure, how long until the next try.
const TRY_AGAIN: Duration = Duration::from_secs(20);
/// How far the thread stands back, on Unix's scale of 0 to 19.
const NICENESS: i32 = 10;

/// One person's search.
pub(super) struct Desk {
    pub(super) handle: Handle,
    pub(super) open: Mutex<Option<Arc<Open>>>,
    is_changing: AtomicBool,
    is_gone: AtomicBool,
    state: Mutex<State>,
}

struct State {
    look_again: Option<Instant>,
    used: Instant,
    progress: Option<Progress>,
    has_failed: bool,
}

impl Desk {
    pub(super) fn new(handle: Handle) -> Self {
        Self {
            handle,
            open: Mutex::default(),
            is_changing: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
            state: Mutex::new(State { look_again: None, used: Instant::now(), progress: None, has_failed: false }),
        }
    }

    pub(super) fn progress(&self) -> Option<Progress> {
        lock(&self.state).progress
    }

    pub(super) fn is_used(&self) {
        lock(&self.state).used = Instant::now();
    }

    pub(super) fn check_again(&self) {
        lock(&self.state).look_again = None;
    }

    /// Ends what is under way.
    pub(super) fn leave(&self) {
        self.is_gone.store(true, Ordering::Release);
    }

    pub(super) fn is_idle_since(&self, before: Option<Instant>) -> bool {
        let is_idle = before.is_some_and(|before| lock(&self.state).used < before);
        is_idle && !self.is_changing.load(Ordering::Acquire)
    }

    /// Whether it is time to look at the chats again.
    fn is_due(&self) -> bool {
        lock(&self.state).look_again.is_none_or(|at| at <= Instant::now())
    }

    fn look_again_in(&self, wait: Duration) {
        lock(&self.state).look_again = Some(Instant::now() + wait);
    }

    /// After a first failure the next try comes at once, with a new index; after others later.
    fn has_failed(&self) {
        let mut state = lock(&self.state);
        let again = std::mem::replace(&mut state.has_failed, true);
        state.look_again = again.then(|| Instant::now() + TRY_AGAIN);
    }

    fn has_succeeded(&self) {
        lock(&self.state).has_failed = false;
    }

    fn set_progress(&self, progress: Option<Progress>) {
        lock(&self.state).progress = progress;
    }

    fn is_done(&self, bytes: u64) {
        if let Some(progress) = &mut lock(&self.state).progress {
            progress.done = progress.total.min(progress.done + bytes);
        }
    }
}

/// The right to change an index, given back when dropped.
struct Pen(Arc<Desk>);

impl Pen {
    fn take(desk: &Arc<Desk>) -> Option<Self> {
        let was = desk.is_changing.swap(true, Ordering::AcqRel);
        (!was).then(|| Self(Arc::clone(desk)))
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.0.set_progress(None);
        self.0.is_changing.store(false, Ordering::Release);
    }
}

/// What has to be done.
#[derive(Default)]
struct Work {
    /// Chats that are new or different, those written to last first.
    chats: Vec<(ChatRef, Option<Known>)>,
    /// The numbers of chats that are not there any more.
    gone: Vec<u64>,
    bytes: u64,
}

impl Work {
    fn is_nothing(&self) -> bool {
        self.chats.is_empty() && self.gone.is_empty()
    }
}

impl Search {
    /// Brings the index up to date, or begins to. What fails is tried again later; the search goes on with what is there.
    pub(super) fn catch_up(self: &Arc<Self>, desk: &Arc<Desk>, open: &Arc<Open>) {
        if !desk.is_due() {
            return;
        }
        let Some(pen) = Pen::take(desk) else { return };
        if let Err(fault) = self.try_to_catch_up(pen, open) {
            self.failed(desk, open, fault);
        }
    }

    fn try_to_catch_up(self: &Arc<Self>, pen: Pen, open: &Arc<Open>) -> std::result::Result<(), Fault> {
        let begin = Instant::now();
        if !self.store.has_search(&pen.0.handle)? {
            return Err("its files are not there any more".into());
        }
        let work = self.differences(&pen.0.handle, &open.roll())?;
        pen.0.look_again_in(LOOK_AGAIN.max(begin.elapsed() * 20));
        if work.is_nothing() {
            pen.0.has_succeeded();
            return Ok(());
        }
        if work.bytes > AT_ONCE {
            return self.start_thread(pen, open, work.bytes);
        }
        let changing = {
            let _turn = lock(&self.small);
            self.apply(&pen.0, open, work)?
        };
        // Parts of the index may be put together now, which nobody has to wait for.
        let finish = move || {
            let finished = attempt(|| changing.finish());
            finished.unwrap_or_else(|fault| tracing::debug!(%fault, "a search index stays in more parts"));
            drop(pen);
        };
        std::thread::Builder::new().name("search".to_owned()).spawn(finish)?;
        Ok(())
    }

    fn start_thread(self: &Arc<Self>, pen: Pen, open: &Arc<Open>, bytes: u64) -> std::result::Result<(), Fault> {
        pen.0.set_progress(Some(Progress { done: 0, total: bytes }));
        let (search, open) = (Arc::clone(self), Arc::clone(open));
        let work = move || {
            blocking::stand_back(NICENESS);
            let desk = Arc::clone(&pen.0);
            let _turn = lock(&search.large);
            if let Err(fault) = search.apply_all(&pen, &open) {
                drop(pen);
                search.failed(&desk, &open, fault);
            }
        };
        std::thread::Builder::new().name("search".to_owned()).spawn(work)?;
        Ok(())
    }

    /// Until there is nothing more to do.
    fn apply_all(&self, pen: &Pen, open: &Open) -> std::result::Result<(), Fault> {
        let desk = &pen.0;
        while !desk.is_gone.load(Ordering::Acquire) {
            let work = self.differences(&desk.handle, &open.roll())?;
            if work.is_nothing() {
                break;
            }
            desk.set_progress(Some(Progress { done: 0, total: work.bytes }));
            let changing = self.apply(desk, open, work)?;
            desk.set_progress(None);
            attempt(|| changing.finish())?;
        }
        desk.check_again();
        Ok(())
    }

    fn failed(&self, desk: &Desk, open: &Arc<Open>, fault: Fault) {
        if desk.is_gone.load(Ordering::Acquire) {
            return;
        }
        let is_ours = fault.is::<tantivy::TantivyError>() || !fault.is::<crate::error::Error>();
        tracing::warn!(handle = %desk.handle, error = %fault, "a search index could not be brought up to date");
        if is_ours {
            self.make_anew(desk, open, &fault);
        }
        desk.has_failed();
    }

    fn differences(&self, handle: &Handle, roll: &Roll) -> Result<Work> {
        let mut known: HashMap<&ChatRef, &Known> = roll.chats().iter().map(|known| (&known.chat, known)).collect();
        let mut work = Work::default();
        let mut changed = Vec::new();
        for (chat, stat) in self.chats.all(handle)? {
            let before = known.remove(&chat);
            let look = Look::of(&stat);
            if before.is_some_and(|before| before.look == look) {
                continue;
            }
            let read = before.filter(|before| before.look.may_grow_into(&look)).map_or(0, |before| before.read);
            work.bytes += look.size().saturating_sub(read);
            changed.push((stat.modified, chat, before.cloned()));
        }
        changed.sort_by_key(|(modified, ..)| std::cmp::Reverse(*modified));
        work.chats = changed.into_iter().map(|(_, chat, known)| (chat, known)).collect();
        work.gone = known.into_values().map(|known| known.id).collect();
        Ok(work)
    }

    /// Does it, and writes it down. The index can go on putting its parts together.
    fn apply(&self, desk: &Desk, open: &Open, work: Work) -> std::result::Result<Changing, Fault> {
        let mut changing = attempt(|| open.shelf.writer())?;
        let mut roll = Roll::clone(&open.roll());
        let (mut noted, mut gone, mut since_commit) = (Vec::new(), work.gone, 0);
        gone.iter().for_each(|id| changing.remove(*id));
        for (chat, known) in work.chats {
            if desk.is_gone.load(Ordering::Acquire) {
                break;
            }
            let id = roll.new_id();
            let (now, bytes) = self.read_chat(desk, &changing, chat, known.as_ref(), id)?;
            since_commit += bytes;
            match now {
                Some(now) => noted.push(now),
                None => gone.extend(known.map(|known| known.id)),
            }
            if since_commit > BETWEEN_COMMITS {
                commit(&mut changing, open, &mut roll, std::mem::take(&mut noted), &gone)?;
                since_commit = 0;
            }
        }
        commit(&mut changing, open, &mut roll, noted, &gone)?;
        Ok(changing)
    }

    /// Puts a chat into the index, or what was added to it. `None` if it is not there any more.
    fn read_chat(
        &self,
        desk: &Desk,
        changing: &Changing,
        chat: ChatRef,
        known: Option<&Known>,
        new_id: u64,
    ) -> std::result::Result<(Option<Known>, u64), Fault> {
        let Some(file) = self.file(&desk.handle, &chat)? else {
            known.into_iter().for_each(|known| changing.remove(known.id));
            return Ok((None, 0));
        };
        let look = Look::of(file.stat());
        let (id, from) = match known {
            Some(known) if known.look.may_grow_into(&look) && goes_on(&file, known)? => {
                (known.id, Read { bytes: known.read, messages: known.messages })
            }
            _ => {
                known.into_iter().for_each(|known| changing.remove(known.id));
                (new_id, Read { bytes: 0, messages: 0 })
            }
        };
        let who = if chat.is_group() { NOBODY } else { who(&chat.character) };
        let mut reported = from.bytes;
        let mut add = |index: u64, line: std::ops::Range<u64>, message: &Message| {
            let place = Found { chat: id, index, start: line.start, length: line.end - line.start };
            let sent = message.sent_at().unwrap_or(0);
            if line.end > reported + AT_ONCE {
                desk.is_done(line.end - reported);
                reported = line.end;
            }
            changing.add(&Entry { place, who, sent, text: message.text() }).map_err(crate::error::Error::internal)
        };
        let read = reading::read(&file, from, &mut add)?;
        desk.is_done(file.stat().size.saturating_sub(reported));
        let tail = reading::tail(&file, read.bytes)?;
        let now = Known { chat, id, look, read: read.bytes, messages: read.messages, tail };
        Ok((Some(now), look.size().saturating_sub(from.bytes)))
    }
}

/// Whether what was read of a file is still its beginning, and ends with a line.
fn goes_on(file: &OpenFile, known: &Known) -> Result<bool> {
    if known.read == 0 || file.stat().size <= known.read {
        return Ok(false);
    }
    let around = file.read(&(known.read - 1..known.read + 1))?;
    Ok(around.contains(&b'\n') && reading::tail(file, known.read)? == known.tail)
}

fn commit(
    changing: &mut Changing,
    open: &Open,
    roll: &mut Roll,
    noted: Vec<Known>,
    gone: &[u64],
) -> std::result::Result<(), Fault> {
    roll.note(noted, gone);
    attempt(|| changing.commit(roll))?;
    *lock(&open.roll) = Arc::new(roll.clone());
    Ok(())
}
