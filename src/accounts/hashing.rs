//! Where passwords are hashed: a few threads of low priority behind a short queue.
//!
//! bcrypt takes a quarter of a second of a core on purpose. A hundred sign-ins at once must neither slow the other
//! requests (so the threads yield to everything else) nor pile up without end (so the queue is bounded).

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::password::{Attempt, Password, PasswordHash, scrypt};
use crate::error::{Error, Kind, Result};
use crate::store;

/// Waiting jobs; at a quarter second each that is about as long as a person waits.
const QUEUE: usize = 256;
/// How far the threads stand back, on Unix's scale of 0 to 19: enough to come after the other requests, and not so far
/// that a sign-in takes many seconds beside another program that keeps the processors busy (at 15 they would be left a
/// thirtieth of one, at 5 a quarter).
const NICENESS: i32 = 5;

/// Salt and hash of nothing in particular: computing a real one would cost every start a quarter of a second.
const NOBODYS: &str = "NobodysSaltNobodysSaluNobodysHashNobodysHashNobodysHa";

/// The hashing threads. They end when this is dropped.
pub struct Hasher {
    queue: SyncSender<Job>,
    cost: u32,
    dummy: PasswordHash,
}

enum Job {
    Verify { attempt: Attempt, hash: Option<PasswordHash>, disguise: Disguise, answer: oneshot::Sender<bool> },
    Hash { password: Password, answer: oneshot::Sender<Result<PasswordHash>> },
}

/// What is computed in vain, so that an unknown name takes as long as a wrong password.
struct Disguise {
    dummy: PasswordHash,
    with_scrypt: bool,
}

impl Hasher {
    /// Starts the threads. `cost` is bcrypt's, 4 to 31.
    pub fn start(cost: u32) -> Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        // One processor is left to everybody else: how long they wait depends on that far more than on the priority.
        let threads = std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).clamp(1, 4);
        for n in 0..threads {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new()
                .name(format!("hasher-{n}"))
                .spawn(move || work(&jobs, cost))
                .map_err(Error::internal)?;
        }
        Ok(Self { queue, cost, dummy: PasswordHash::Bcrypt(format!("$2b${cost:02}${NOBODYS}")) })
    }

    /// bcrypt's cost for new hashes.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Whether `attempt` fits `hash`; with no hash it never does, after the same time. `legacy` says that some account
    /// still has SillyTavern's hash: then every check costs one of each kind.
    pub async fn verify(&self, attempt: Attempt, hash: Option<PasswordHash>, legacy: bool) -> Result<bool> {
        let (answer, done) = oneshot::channel();
        let disguise = Disguise { dummy: self.dummy.clone(), with_scrypt: legacy };
        self.send(Job::Verify { attempt, hash, disguise, answer })?;
        done.await.map_err(Error::internal)
    }

    /// Hashes a new password.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash> {
        let (answer, done) = oneshot::channel();
        self.send(Job::Hash { password, answer })?;
        done.await.map_err(Error::internal)?
    }

    fn send(&self, job: Job) -> Result<()> {
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => {
                Error::new(Kind::Busy, "busy", "Very many people are signing in right now. Try again in a moment.")
            }
            TrySendError::Disconnected(_) => Error::internal("the hashing threads are gone"),
        })
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, cost: u32) {
    stand_back();
    loop {
        let job = store::lock(jobs).recv();
        match job {
            Ok(Job::Verify { attempt, hash, disguise, answer }) => {
                let _ = answer.send(disguise.verify(&attempt, hash.as_ref()));
            }
            Ok(Job::Hash { password, answer }) => {
                let _ = answer.send(password.hash(cost));
            }
            Err(_) => return,
        }
    }
}

impl Disguise {
    fn verify(&self, attempt: &Attempt, hash: Option<&PasswordHash>) -> bool {
        let is_scrypt = hash.is_some_and(PasswordHash::is_scrypt);
        let fits = hash.is_some_and(|hash| hash.verify(attempt));
        if self.with_scrypt && !is_scrypt {
            std::hint::black_box(scrypt("in vain", "in vain"));
        }
        if hash.is_none() || is_scrypt {
            std::hint::black_box(self.dummy.verify(attempt));
        }
        fits
    }
}

/// Lowers the priority of this thread; a system that refuses just has no such priority.
fn stand_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS) {
        tracing::debug!(%error, "the hashing threads keep their priority");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = NICENESS;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_is_let_in_by_the_disguise_and_it_takes_as_long() {
        let hasher = Hasher::start(8).unwrap();
        let real = hasher.hash(Password::optional("right").unwrap().unwrap()).await.unwrap();
        let time = async |hash: Option<PasswordHash>| {
            let started = std::time::Instant::now();
            assert!(!hasher.verify(Attempt::parse("wrong").unwrap(), hash, false).await.unwrap());
            started.elapsed()
        };
        let (mut wrong, mut unknown) = (std::time::Duration::MAX, std::time::Duration::MAX);
        for _ in 0..10 {
            wrong = wrong.min(time(Some(real.clone())).await);
            unknown = unknown.min(time(None).await);
        }
        // A dummy that bcrypt would not even look at would be a thousand times faster.
        assert!(unknown > wrong / 3 && wrong > unknown / 3, "{unknown:?} {wrong:?}");
        assert!(hasher.verify(Attempt::parse("right").unwrap(), Some(real), true).await.unwrap());
    }
}
