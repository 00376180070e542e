//! Where passwords are hashed: a few threads of low priority behind a short queue.
//!
//! bcrypt takes a quarter of a second of a core on purpose. A hundred sign-ins at once must neither slow the other
//! requests (so the threads yield to everything else) nor pile up without end (so the queue is bounded).

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::password::{Attempt, Password, PasswordHash, scrypt};
use crate::error::{Error, Kind, Result};
use crate::mutex::lock;

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
}

/// The kinds of hashes that the accounts have: what a check has to cost, whoever it is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kinds {
    /// Whether some account still has SillyTavern's hash.
    pub scrypt: bool,
    /// The highest cost of a bcrypt hash, 0 without any.
    pub highest_cost: u32,
}

enum Job {
    Verify { attempt: Attempt, hash: Option<PasswordHash>, disguise: Disguise, answer: oneshot::Sender<bool> },
    Hash { password: Password, answer: oneshot::Sender<Result<PasswordHash>> },
}

/// What is computed in vain, so that an unknown name takes as long as a wrong password, and an account whose hash is older
/// than the setting as long as any other.
struct Disguise {
    cost: u32,
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
        Ok(Self { queue, cost })
    }

    /// bcrypt's cost for new hashes.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Whether `attempt` fits `hash`; with no hash it never does, after the same time. Every check costs as much as the
    /// dearest of `kinds`, and one of SillyTavern's hashes more while some account still has one.
    pub async fn verify(&self, attempt: Attempt, hash: Option<PasswordHash>, kinds: Kinds) -> Result<bool> {
        let (answer, done) = oneshot::channel();
        let disguise = Disguise { cost: self.cost.max(kinds.highest_cost), with_scrypt: kinds.scrypt };
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
    crate::blocking::stand_back(NICENESS);
    loop {
        let job = lock(jobs).recv();
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
        for cost in self.costs_left(hash) {
            std::hint::black_box(dummy(cost).verify(attempt));
        }
        fits
    }

    /// Each step of the cost doubles the work, so a hash of cost c and dummies of c, c+1, ... up to just below the highest
    /// are together one of the highest.
    fn costs_left(&self, hash: Option<&PasswordHash>) -> Range<u32> {
        match hash.and_then(PasswordHash::cost) {
            Some(done) => done..self.cost,
            None => self.cost..self.cost + 1,
        }
    }
}

fn dummy(cost: u32) -> PasswordHash {
    PasswordHash::Bcrypt(format!("$2b${cost:02}${NOBODYS}"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    async fn time(hasher: &Hasher, hash: Option<&PasswordHash>, kinds: Kinds) -> Duration {
        let started = Instant::now();
        assert!(!hasher.verify(Attempt::parse("wrong").unwrap(), hash.cloned(), kinds).await.unwrap());
        started.elapsed()
    }

    #[tokio::test]
    async fn nobody_is_let_in_by_the_disguise_and_it_takes_as_long() {
        let hasher = Hasher::start(8).unwrap();
        let hash = |cost| Password::optional("right").unwrap().unwrap().hash(cost).unwrap();
        let (old, real, dear) = (hash(4), hash(8), hash(10));
        let garbage = PasswordHash::Bcrypt("$2b$08$garbage".into());
        let alike = async |kinds, hashes: [Option<&PasswordHash>; 4]| {
            // In turns, so that whatever else the machine does hits all alike.
            let mut times = [Duration::MAX; 4];
            for _ in 0..20 {
                for (shortest, hash) in times.iter_mut().zip(hashes) {
                    *shortest = time(&hasher, hash, kinds).await.min(*shortest);
                }
            }
            // A dummy that bcrypt would not even look at would be a thousand times faster, one of the old cost 16 times.
            assert!(*times.iter().max().unwrap() < *times.iter().min().unwrap() * 3, "{times:?}");
        };
        alike(Kinds::default(), [None, Some(&real), Some(&old), Some(&garbage)]).await;
        // The setting was lowered since.
        alike(Kinds { highest_cost: 10, ..Kinds::default() }, [None, Some(&real), Some(&old), Some(&dear)]).await;
        for hash in [old, real, dear] {
            let kinds = Kinds { scrypt: true, highest_cost: 10 };
            assert!(hasher.verify(Attempt::parse("right").unwrap(), Some(hash), kinds).await.unwrap());
        }
    }
}
