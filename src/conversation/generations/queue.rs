//! Who may ask a model next. Each connection takes so many at once; those who wait are served in turns, person by person, so
//! that whoever asks for ten replies does not keep the one who asks for one waiting for all of them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{oneshot, watch};

use crate::mutex::lock;
use crate::store::Handle;

/// The lines before all connections.
#[derive(Debug)]
pub struct Queues {
    /// How many a connection takes at once.
    most: usize,
    lines: Mutex<HashMap<String, Line>>,
    /// Each place in a line has a number of its own, in whatever line.
    last: AtomicU64,
}

/// The line before one connection.
#[derive(Debug, Default)]
struct Line {
    running: usize,
    /// Whoever waits, in the order of their turns, each with their own line.
    people: VecDeque<(Handle, VecDeque<Waiter>)>,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    turn: oneshot::Sender<Permit>,
    place: watch::Sender<usize>,
}

/// The right to ask a model, given back when dropped.
#[derive(Debug)]
pub struct Permit {
    queues: Arc<Queues>,
    connection: String,
}

/// A place in a line, given up when dropped.
#[derive(Debug)]
pub struct Turn {
    queues: Arc<Queues>,
    connection: String,
    number: u64,
    turn: oneshot::Receiver<Permit>,
    place: watch::Receiver<usize>,
}

impl Queues {
    /// Lines before connections that take `most` at once.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), lines: Mutex::default(), last: AtomicU64::default() })
    }

    /// Joins the line before a connection.
    pub fn join(self: &Arc<Self>, connection: &str, who: &Handle) -> Turn {
        let (turn, receiver) = oneshot::channel();
        let (place, places) = watch::channel(0);
        let mut lines = lock(&self.lines);
        let line = lines.entry(connection.to_owned()).or_default();
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let waiter = Waiter { number, turn, place };
        match line.people.iter_mut().find(|(person, _)| person == who) {
            Some((_, theirs)) => theirs.push_back(waiter),
            None => line.people.push_back((who.clone(), VecDeque::from([waiter]))),
        }
        let served = self.serve(connection, line);
        line.tell();
        drop(lines);
        drop(served);
        Turn { queues: Arc::clone(self), connection: connection.to_owned(), number, turn: receiver, place: places }
    }

    /// Lets in whoever is next while there is room. Permits that nobody took come back: they may only be dropped once the
    /// lines are unlocked.
    #[must_use]
    fn serve(self: &Arc<Self>, connection: &str, line: &mut Line) -> Vec<Permit> {
        let mut refused = Vec::new();
        while line.running < self.most {
            let Some(waiter) = line.next() else { break };
            line.running += 1;
            let permit = Permit { queues: Arc::clone(self), connection: connection.to_owned() };
            if let Err(permit) = waiter.turn.send(permit) {
                refused.push(permit);
            }
        }
        refused
    }

    fn give_back(self: &Arc<Self>, connection: &str) {
        let mut lines = lock(&self.lines);
        let Some(line) = lines.get_mut(connection) else { return };
        line.running = line.running.saturating_sub(1);
        let refused = self.serve(connection, line);
        line.tell();
        if line.running == 0 && line.people.is_empty() {
            lines.remove(connection);
        }
        drop(lines);
        drop(refused);
    }

    fn leave(&self, connection: &str, number: u64) {
        let mut lines = lock(&self.lines);
        let Some(line) = lines.get_mut(connection) else { return };
        for (_, theirs) in &mut line.people {
            theirs.retain(|waiter| waiter.number != number);
        }
        line.people.retain(|(_, theirs)| !theirs.is_empty());
        line.tell();
        if line.running == 0 && line.people.is_empty() {
            lines.remove(connection);
        }
    }
}

impl Line {
    /// Whoever's turn it is; their next one comes after everybody else's.
    fn next(&mut self) -> Option<Waiter> {
        let (person, mut theirs) = self.people.pop_front()?;
        let waiter = theirs.pop_front();
        if !theirs.is_empty() {
            self.people.push_back((person, theirs));
        }
        waiter
    }

    /// Tells everyone how many are before them.
    fn tell(&self) {
        let longest = self.people.iter().map(|(_, theirs)| theirs.len()).max().unwrap_or(0);
        let rounds = (0..longest).flat_map(|round| self.people.iter().filter_map(move |(_, theirs)| theirs.get(round)));
        for (before, waiter) in rounds.enumerate() {
            waiter.place.send_if_modified(|place| std::mem::replace(place, before + 1) != before + 1);
        }
    }
}

impl Turn {
    /// Waits until it is one's turn. `told` hears each time how many are before.
    pub async fn come(&mut self, mut told: impl FnMut(usize)) -> Option<Permit> {
        loop {
            tokio::select! {
                biased;
                permit = &mut self.turn => return permit.ok(),
                changed = self.place.changed() => match changed {
                    Ok(()) => {
                        let place = *self.place.borrow_and_update();
                        if place > 0 {
                            told(place);
                        }
                    }
                    // The waiter went, so the permit is here or will never be.
                    Err(_) => return (&mut self.turn).await.ok(),
                },
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turn.close();
        self.queues.leave(&self.connection, self.number);
        // A permit that came in between is dropped with the receiver, and gives its place back.
        drop(self.turn.try_recv());
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let queues = Arc::clone(&self.queues);
        queues.give_back(&self.connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(name: &str) -> Handle {
        Handle::parse(name).unwrap()
    }

    async fn now(turn: &mut Turn) -> Option<Permit> {
        tokio::select! {
            biased;
            permit = turn.come(|_| {}) => permit,
            () = std::future::ready(()) => None,
        }
    }

    #[tokio::test]
    async fn people_take_turns() {
        let queues = Queues::new(1);
        let mut first = queues.join("a", &handle("ada"));
        let permit = now(&mut first).await.unwrap();
        let mut many: Vec<_> = (0..3).map(|_| queues.join("a", &handle("ada"))).collect();
        let mut bob = queues.join("a", &handle("bob"));
        let mut other = queues.join("b", &handle("bob"));
        assert!(now(&mut other).await.is_some(), "another connection has a line of its own");
        let places: Vec<usize> = many.iter().map(|turn| *turn.place.borrow()).collect();
        assert_eq!((places, *bob.place.borrow()), (vec![1, 3, 4], 2));
        assert!(now(&mut many[0]).await.is_none());
        drop(permit);
        let permit = now(&mut many[0]).await.unwrap();
        drop(permit);
        assert!(now(&mut many[1]).await.is_none());
        let permit = now(&mut bob).await.unwrap();
        drop(permit);
        let permit = now(&mut many[1]).await.unwrap();
        assert_eq!(*many[2].place.borrow(), 1);
        // Whoever gives up does not hold up the others, and a permit that nobody takes is not lost.
        many.pop();
        drop(permit);
        many.clear();
        drop((first, bob, other));
        assert!(lock(&queues.lines).is_empty(), "{queues:?}");
    }

    #[tokio::test]
    async fn a_permit_on_its_way_to_somebody_who_left_is_not_lost() {
        let queues = Queues::new(1);
        let turn = queues.join("a", &handle("ada"));
        let mut next = queues.join("a", &handle("bob"));
        assert!(now(&mut next).await.is_none());
        drop(turn);
        assert!(now(&mut next).await.is_some());
        drop(next);
        assert!(lock(&queues.lines).is_empty());
    }
}
