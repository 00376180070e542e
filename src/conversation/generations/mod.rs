//! Generations: replies that the server asks for, follows to their end and puts into the chat, whoever listens.
//!
//! - [`errand`]: what is to be done and what came of it, as values
//! - [`tape`]: what was said so far, from any place on; [`event`]: what listeners are told; [`shown`]: the same as markup
//! - [`live`]: a generation while it is remembered
//! - [`queue`]: who may ask a model next
//! - [`journal`]: what is under way, on the disk
//! - `running`: from the first word to the last; `settling`: into the chat, whatever happens
//!
//! What a generation needs of the rooms below is named by [`House`]: so the machine can be tried without a disk and a model.

pub mod errand;
pub mod event;
pub mod journal;
pub mod live;
pub mod queue;
mod running;
mod settling;
pub mod shown;
pub mod tape;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use errand::{Errand, GenerationId, Kept, Kind, Order, Said, Target};
pub use live::{Generation, Started, Summary};

use crate::blocking::blocking;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::library::chats::Message;
use crate::models::{Pieces, Usage};
use crate::mutex::lock;
use crate::store::{FileName, Handle, Store};
use crate::turns::Turns;
use event::Start;
use journal::Journals;
use live::Begins;
use queue::{Permit, Queues};

/// How long a generation is remembered after its end.
const REMEMBERED: Duration = Duration::from_secs(600);
/// How many of these a person can have.
const REMEMBERED_EACH: usize = 64;
/// How much memory all that are over may take, in bytes.
const REMEMBERED_BYTES: usize = 32 * 1024 * 1024;

/// A future that another room makes.
pub type Future1<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What generations need of the rooms below.
pub trait House: Send + Sync + 'static {
    /// What is needed to ask a model, once.
    type Plan: Send + Sync + 'static;

    /// Appends what the person says, if anything, and gathers the prompt. Waits for the disk.
    fn begin(&self, id: &GenerationId, order: &Order) -> Result<Begun<Self::Plan>>;

    /// Asks the model.
    fn ask(&self, plan: Arc<Self::Plan>) -> Future1<Result<Pieces>>;

    /// Puts what came into the chat; done again, it changes nothing. `again` says that it may have been done, and that much
    /// may have happened to the chat since. Waits for the disk.
    fn keep(&self, errand: &Errand, said: &Said, again: bool) -> Result<Kept>;

    /// Writes down what was used up; counted where the model's server did not say. Waits for the disk.
    fn spent(&self, errand: &Errand, plan: &Self::Plan, said: &Said, reported: Option<Usage>) -> Usage;

    /// Tells this person's other windows that a generation in a chat began or ended. Waits for the disk.
    fn tell(&self, handle: &Handle, character: &FileName, chat: &FileName, generation: Option<&GenerationId>);

    /// Whether this person still lives here. Waits for the disk.
    fn knows(&self, handle: &Handle) -> bool;
}

/// What has been prepared.
pub struct Begun<P> {
    /// What is to be done with the reply.
    pub errand: Errand,
    /// The connection that will be asked: there is a line before each.
    pub line: String,
    /// How to ask.
    pub plan: P,
    /// The chat's version, with the person's message in it.
    pub version: String,
    /// The person's message, if one was appended.
    pub user_message: Option<(usize, Message)>,
    /// The message that will hold the reply.
    pub index: Option<usize>,
}

/// How much is taken on.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How many replies a connection writes at once.
    pub per_connection: usize,
    /// How many a person has under way or waiting.
    pub per_user: usize,
    /// How long the first word may take.
    pub first_word: Duration,
    /// How long a reply may pause.
    pub silence: Duration,
    /// Between two looks at whether there is something to be written into a journal.
    pub journal: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            per_connection: 4,
            per_user: 4,
            first_word: Duration::from_secs(600),
            silence: Duration::from_secs(120),
            journal: Duration::from_secs(1),
        }
    }
}

/// All generations of a house.
pub struct Generations<H: House> {
    house: Arc<H>,
    journals: Journals,
    queues: Arc<Queues>,
    rules: Rules,
    all: Mutex<All>,
    /// Whoever is preparing one in a chat. A request that comes again meanwhile waits, and finds it known.
    preparing: Turns<ChatKey>,
    /// Whoever has a prompt put together, which can take a thread a while: one at a time for each person.
    building: Turns<Handle>,
    /// Replies that came and could not be put into their chats yet.
    unsettled: Mutex<Vec<(Errand, Said)>>,
    /// Nothing new is begun.
    closing: CancellationToken,
    /// What is under way ends here.
    cutting: CancellationToken,
    tasks: TaskTracker,
    /// Few write into journals at once, so that not all threads wait for one disk.
    pens: tokio::sync::Semaphore,
}

/// One chat of one person.
type ChatKey = (Handle, FileName, FileName);

#[derive(Default)]
struct All {
    known: HashMap<GenerationId, Arc<Generation>>,
    /// The chats in which one is being prepared or under way.
    busy: HashMap<ChatKey, GenerationId>,
    /// How many answers each person's programs wait for or get.
    programs: HashMap<Handle, usize>,
}

fn chat_of(order: &Order) -> ChatKey {
    (order.handle.clone(), order.character.clone(), order.chat.clone())
}

/// A chat in which nobody else may begin, until dropped.
struct Busy<H: House> {
    generations: Arc<Generations<H>>,
    chat: ChatKey,
}

impl<H: House> Drop for Busy<H> {
    fn drop(&mut self) {
        lock(&self.generations.all).busy.remove(&self.chat);
    }
}

/// A program that may ask, until dropped.
pub struct Admitted<H: House> {
    generations: Arc<Generations<H>>,
    handle: Handle,
    /// None while it waits for its turn.
    permit: Option<Permit>,
}

impl<H: House> Drop for Admitted<H> {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut all = lock(&self.generations.all);
        if let Some(count) = all.programs.get_mut(&self.handle) {
            *count -= 1;
            if *count == 0 {
                all.programs.remove(&self.handle);
            }
        }
    }
}

impl<H: House> Generations<H> {
    /// Generations in a house that keeps its journals in `store`.
    pub fn new(house: Arc<H>, store: Arc<Store>, rules: Rules) -> Arc<Self> {
        Arc::new(Self {
            house,
            journals: Journals::new(store),
            queues: Queues::new(rules.per_connection),
            rules,
            all: Mutex::default(),
            preparing: Turns::default(),
            building: Turns::default(),
            unsettled: Mutex::default(),
            closing: CancellationToken::new(),
            cutting: CancellationToken::new(),
            tasks: TaskTracker::new(),
            pens: tokio::sync::Semaphore::new(4),
        })
    }

    /// What is below.
    pub fn house(&self) -> &Arc<H> {
        &self.house
    }

    /// Starts one. It is begun whether or not whoever asked waits for the answer.
    pub async fn start(self: &Arc<Self>, order: Order) -> Result<Started> {
        let this = Arc::clone(self);
        self.tasks.spawn(async move { this.begin(order).await }).await.map_err(Error::internal)?
    }

    async fn begin(self: Arc<Self>, order: Order) -> Result<Started> {
        if self.closing.is_cancelled() {
            return Err(closing());
        }
        let _turn = self.preparing.take(chat_of(&order)).await;
        if let Some(known) = self.same_again(&order) {
            return Ok(known);
        }
        let id = GenerationId::new()?;
        let busy = self.take_chat(&order, &id)?;
        let (this, named) = (Arc::clone(&self), id.clone());
        let (begun, order) = self
            .in_turn(&order.handle.clone(), move || {
                let begun = this.house.begin(&named, &order)?;
                if order.kind != Kind::Impersonate {
                    this.journals.begin(&begun.errand).map_err(|error| not_begun(&begun, error))?;
                }
                Ok((begun, order))
            })
            .await?;
        let Begun { errand, line, plan, version, user_message, index } = begun;
        let answer = Started { id: id.clone(), version: Some(version), user_message };
        let generation = Arc::new(Generation::new(Begins {
            id: id.clone(),
            handle: order.handle.clone(),
            character: order.character.clone(),
            chat: order.chat.clone(),
            kind: errand.kind,
            started: errand.started,
            client: order.id,
            answer: answer.clone(),
            start: Start {
                character: order.character.to_string(),
                chat: order.chat.to_string(),
                kind: errand.kind,
                index,
                text: errand
                    .target
                    .as_ref()
                    .filter(|_| errand.kind == Kind::Continue)
                    .map_or_else(String::new, |t| t.text.clone()),
            },
        }));
        self.remember(&generation);
        self.tell(&generation, Some(id));
        let running = Arc::clone(&self).run(generation, errand, line, Arc::new(plan), busy);
        self.tasks.spawn(running);
        Ok(answer)
    }

    /// Does what has to do with this person's prompts, on a thread for work that takes its time, and when nothing else of
    /// that is going on for them: whatever their lorebooks ask for, they keep no more than one thread busy. It goes on to its
    /// end, and keeps the turn, even if whoever asked has left.
    pub async fn in_turn<T: Send + 'static>(
        &self,
        handle: &Handle,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = self.building.take(handle.clone()).await;
        blocking(move || {
            let _turn = turn;
            work()
        })
        .await
    }

    /// What was answered to the same request before, if it comes again because the answer was lost.
    fn same_again(&self, order: &Order) -> Option<Started> {
        let id = order.id.as_ref()?;
        let all = lock(&self.all);
        let same = all.known.values().find(|known| {
            known.client.as_ref() == Some(id)
                && known.handle == order.handle
                && known.character == order.character
                && known.chat == order.chat
        });
        same.map(|known| known.answer.clone())
    }

    /// Tells other windows, beside everything else.
    fn tell(self: &Arc<Self>, generation: &Arc<Generation>, id: Option<GenerationId>) {
        let (house, about) = (Arc::clone(&self.house), Arc::clone(generation));
        let told = move || house.tell(&about.handle, &about.character, &about.chat, id.as_ref());
        self.tasks.spawn_blocking(told);
    }

    /// Refuses what is more than one person may have under way.
    fn check_limit(&self, all: &All, handle: &Handle) -> Result<()> {
        let most = self.rules.per_user;
        if all.of(handle) < most {
            return Ok(());
        }
        Err(Error::too_many(
            Duration::from_secs(5),
            format!(
                "{most} replies of yours are being written already. Nothing was sent; wait for one of them, or stop one."
            ),
        ))
    }

    /// Lets a program of this person's ask by the connection with this line, when it is its turn. It counts as one of their
    /// replies from now on, until what is returned is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::TooMany`] where they have as many under way as they may, [`ErrorKind::Busy`] where the server stops.
    pub async fn admit(self: &Arc<Self>, handle: &Handle, line: &str) -> Result<Admitted<H>> {
        let mut admitted = self.count_in(handle)?;
        let mut turn = self.queues.join(line, handle);
        let permit = tokio::select! {
            biased;
            () = self.closing.cancelled() => return Err(closing()),
            permit = turn.come(|_| {}) => permit,
        };
        admitted.permit = Some(permit.ok_or_else(|| Error::internal("a place in the line was lost"))?);
        Ok(admitted)
    }

    fn count_in(self: &Arc<Self>, handle: &Handle) -> Result<Admitted<H>> {
        let mut all = lock(&self.all);
        self.check_limit(&all, handle)?;
        *all.programs.entry(handle.clone()).or_default() += 1;
        Ok(Admitted { generations: Arc::clone(self), handle: handle.clone(), permit: None })
    }

    fn take_chat(self: &Arc<Self>, order: &Order, id: &GenerationId) -> Result<Busy<H>> {
        let chat = chat_of(order);
        let mut all = lock(&self.all);
        if let Some(other) = all.busy.get(&chat) {
            return Err(Error::conflict(
                "busy_chat",
                "A reply is being written in this chat already. Nothing was sent; wait for it, or stop it.",
            )
            .with_details(serde_json::json!({ "generation": other })));
        }
        self.check_limit(&all, &order.handle)?;
        all.busy.insert(chat.clone(), id.clone());
        Ok(Busy { generations: Arc::clone(self), chat })
    }

    fn remember(&self, generation: &Arc<Generation>) {
        let mut all = lock(&self.all);
        all.known.insert(generation.id.clone(), Arc::clone(generation));
        all.forget_old(&generation.handle);
    }

    /// One of this person's.
    pub fn get(&self, handle: &Handle, id: &GenerationId) -> Result<Arc<Generation>> {
        let all = lock(&self.all);
        all.known.get(id).filter(|known| known.handle == *handle).cloned().ok_or_else(errand::not_there)
    }

    /// This person's that are under way, the oldest first.
    pub fn list(&self, handle: &Handle) -> Vec<Summary> {
        let all = lock(&self.all);
        let theirs = all.known.values().filter(|known| known.handle == *handle && known.is_running());
        let mut list: Vec<Summary> = theirs.map(|known| known.summary()).collect();
        list.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
        list
    }

    /// The one that is under way in a chat.
    pub fn running_in(&self, handle: &Handle, character: &FileName, chat: &FileName) -> Option<GenerationId> {
        let all = lock(&self.all);
        let id = all.busy.get(&(handle.clone(), character.clone(), chat.clone()))?;
        all.known.contains_key(id).then(|| id.clone())
    }

    /// Stops one; what came is kept. One that is over is left as it is.
    pub fn stop(&self, handle: &Handle, id: &GenerationId) -> Result<()> {
        self.get(handle, id)?.stop.cancel();
        Ok(())
    }

    /// Stops all of one person's, who may not come in any more; what came is kept.
    pub fn stop_all(&self, handle: &Handle) {
        for known in lock(&self.all).known.values().filter(|known| known.handle == *handle) {
            known.stop.cancel();
        }
    }

    /// Ends all of one person's, who is gone with all that is theirs.
    pub fn forget(&self, handle: &Handle) {
        let mut all = lock(&self.all);
        all.known.values().filter(|known| known.handle == *handle).for_each(|known| known.forget());
        all.known.retain(|_, known| known.handle != *handle);
        drop(all);
        lock(&self.unsettled).retain(|(errand, _)| errand.handle != *handle);
    }

    /// Takes nothing new on, lets what is under way come to its end for so long, and then keeps what came.
    pub async fn close(self: &Arc<Self>, patience: Duration) {
        self.closing.cancel();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            self.cutting.cancel();
            self.tasks.wait().await;
        }
        // Of what the disk refused, the words may be nowhere but here.
        let this = Arc::clone(self);
        let _ = tokio::task::spawn_blocking(move || this.settle_left()).await;
    }

    /// How many are under way or waiting, of everybody, and with what programs ask.
    pub fn count(&self) -> usize {
        let all = lock(&self.all);
        all.busy.len() + all.programs.values().sum::<usize>()
    }
}

/// A person's message goes into the chat before the reply has its journal: they are told that it is there, and that the same
/// request will ask for the reply without adding it again.
fn not_begun<P>(begun: &Begun<P>, error: Error) -> Error {
    let Some((index, _)) = &begun.user_message else { return error };
    let words = format!(
        "Your message is in the chat, but its reply could not be begun. {} Sending it again will not add it twice.",
        error.message()
    );
    let details = serde_json::json!({ "index": index, "version": begun.version });
    Error::new(error.kind(), error.code(), words).with_details(details).because(error)
}

fn closing() -> Error {
    Error::new(ErrorKind::Busy, "closing", "The server is about to stop. Nothing was sent; try again in a moment.")
}

impl All {
    /// How many replies this person has under way, those that programs asked for included.
    fn of(&self, handle: &Handle) -> usize {
        let in_chats = self.busy.keys().filter(|(whose, ..)| whose == handle).count();
        in_chats + self.programs.get(handle).copied().unwrap_or(0)
    }

    /// Forgets what has been over for long, and the oldest where there are too many.
    fn forget_old(&mut self, handle: &Handle) {
        self.known.retain(|_, known| known.over_for().is_none_or(|over| over < REMEMBERED));
        let mut over: Vec<_> = self
            .known
            .values()
            .filter_map(|known| Some((known.over_for()?, known.id.clone(), known.handle == *handle, known.weight())))
            .collect();
        over.sort_by_key(|(over, ..)| *over);
        let (mut theirs, mut bytes) = (0, 0);
        for (_, id, is_theirs, weight) in over {
            theirs += usize::from(is_theirs);
            bytes += weight;
            if bytes > REMEMBERED_BYTES || (is_theirs && theirs > REMEMBERED_EACH) {
                self.known.remove(&id);
            }
        }
    }
}
