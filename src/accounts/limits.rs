//! How often something may be tried: per network, and per account whatever network it comes from.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::mutex::lock;

/// Above this many remembered keys the expired ones are dropped, then the oldest.
const REMEMBERED: usize = 20_000;

/// What is being tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Signing in with a password.
    SignIn,
    /// Asking for a recovery code, or trying one.
    Recover,
    /// Trying a code or password to reset one's folder.
    Reset,
    /// Basic authentication.
    BasicAuth,
}

/// A network that counts as one client: an IPv4 address, or an IPv6 /64, which one household has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network([u8; 8]);

impl Network {
    /// The network of an address.
    pub fn of(address: IpAddr) -> Self {
        let mut key = [0; 8];
        match address.to_canonical() {
            IpAddr::V4(v4) => key[4..].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => key.copy_from_slice(&v6.octets()[..8]),
        }
        Self(key)
    }
}

/// Counts tries in fixed windows, as SillyTavern does: the window starts at the first one counted, and refused tries do
/// not prolong it.
#[derive(Debug)]
pub struct Windows<K> {
    seen: Mutex<HashMap<K, Window>>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    started: Instant,
    length: Duration,
    tries: u32,
}

impl<K> Default for Windows<K> {
    fn default() -> Self {
        Self { seen: Mutex::default() }
    }
}

impl<K: Hash + Eq + Clone> Windows<K> {
    /// Counts one try of at most `most` in `length`; 0 means that there is no limit. The error is how long to wait.
    pub fn take(&self, key: K, most: u32, length: Duration) -> Result<(), Duration> {
        if most == 0 {
            return Ok(());
        }
        let now = Instant::now();
        let mut seen = lock(&self.seen);
        if seen.len() >= REMEMBERED && !seen.contains_key(&key) {
            forget_some(&mut seen, now);
        }
        let window = seen.entry(key).or_insert(Window { started: now, length, tries: 0 });
        if window.is_over(now) {
            *window = Window { started: now, length, tries: 0 };
        }
        if window.tries >= most {
            return Err(window.rest(now));
        }
        window.tries += 1;
        Ok(())
    }

    /// Whether one more of at most `most` would be taken, without counting it. The error is how long to wait.
    pub fn look(&self, key: &K, most: u32) -> Result<(), Duration> {
        let now = Instant::now();
        match lock(&self.seen).get(key) {
            Some(window) if most > 0 && window.tries >= most && !window.is_over(now) => Err(window.rest(now)),
            _ => Ok(()),
        }
    }

    /// Gives back one that was taken: it was none to count.
    pub fn give_back(&self, key: &K) {
        if let Some(window) = lock(&self.seen).get_mut(key) {
            window.tries = window.tries.saturating_sub(1);
        }
    }

    /// Forgets the tries, after a good one.
    pub fn clear(&self, key: &K) {
        lock(&self.seen).remove(key);
    }
}

impl Window {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.started) >= self.length
    }

    fn rest(&self, now: Instant) -> Duration {
        self.length.saturating_sub(now.duration_since(self.started))
    }
}

fn forget_some<K: Hash + Eq + Clone>(seen: &mut HashMap<K, Window>, now: Instant) {
    seen.retain(|_, window| !window.is_over(now));
    if seen.len() >= REMEMBERED {
        let mut starts: Vec<Instant> = seen.values().map(|window| window.started).collect();
        starts.sort_unstable();
        let middle = starts[starts.len() / 2];
        seen.retain(|_, window| window.started > middle);
    }
}

/// Slows guesses at one account, from wherever they come, without locking its owner out: each further wrong guess makes
/// the next one wait longer, and the waiting is a queue.
#[derive(Debug, Default)]
pub struct Brake {
    accounts: Mutex<HashMap<String, Queue>>,
}

#[derive(Debug)]
struct Queue {
    wrong: u32,
    last_wrong: Instant,
    next_turn: Instant,
}

/// Wrong guesses at one account that cost nothing extra.
const FREE: u32 = 10;
/// After this long without a wrong guess all is forgotten.
const FORGIVEN: Duration = Duration::from_secs(15 * 60);
/// The longest pause between two guesses.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Whoever would wait longer is sent away.
const LONGEST_WAIT: Duration = Duration::from_secs(16);

impl Brake {
    /// How long this guess has to wait for its turn, or how long to stay away when too many wait.
    pub fn turn(&self, account: &str) -> Result<Duration, Duration> {
        let now = Instant::now();
        let mut accounts = lock(&self.accounts);
        let Some(queue) = accounts.get_mut(account) else { return Ok(Duration::ZERO) };
        if now.duration_since(queue.last_wrong) > FORGIVEN {
            accounts.remove(account);
            return Ok(Duration::ZERO);
        }
        if queue.wrong < FREE {
            return Ok(Duration::ZERO);
        }
        let wait = queue.next_turn.saturating_duration_since(now);
        if wait > LONGEST_WAIT {
            return Err(wait);
        }
        let doublings = (queue.wrong - FREE).min(6);
        let pause = Duration::from_millis(250 << doublings).min(LONGEST_PAUSE);
        queue.next_turn = now + wait + pause;
        Ok(wait)
    }

    /// A guess was wrong.
    pub fn wrong(&self, account: &str) {
        let now = Instant::now();
        let mut accounts = lock(&self.accounts);
        if accounts.len() >= REMEMBERED {
            accounts.retain(|_, queue| now.duration_since(queue.last_wrong) <= FORGIVEN);
        }
        if accounts.len() < REMEMBERED || accounts.contains_key(account) {
            let queue =
                accounts.entry(account.to_owned()).or_insert(Queue { wrong: 0, last_wrong: now, next_turn: now });
            queue.wrong = queue.wrong.saturating_add(1);
            queue.last_wrong = now;
        }
    }

    /// The owner got in.
    pub fn right(&self, account: &str) {
        lock(&self.accounts).remove(account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_try_is_refused_until_the_window_ends() {
        let windows = Windows::default();
        let length = Duration::from_millis(80);
        for _ in 0..5 {
            windows.take("a", 5, length).unwrap();
        }
        assert!(windows.take("a", 5, length).unwrap_err() <= length);
        windows.take("b", 5, length).unwrap();
        std::thread::sleep(length);
        windows.take("a", 5, length).unwrap();
        assert!(windows.look(&"a", 2).is_ok());
        assert!(windows.look(&"a", 1).unwrap_err() <= length);
        windows.give_back(&"a");
        assert!(windows.look(&"a", 1).is_ok());
    }

    #[test]
    fn a_good_try_clears_and_zero_means_no_limit() {
        let windows = Windows::default();
        windows.take("a", 1, Duration::from_secs(60)).unwrap();
        windows.clear(&"a");
        windows.take("a", 1, Duration::from_secs(60)).unwrap();
        for _ in 0..100 {
            windows.take("z", 0, Duration::from_secs(60)).unwrap();
        }
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let windows = Windows::default();
        for n in 0..REMEMBERED * 2 {
            windows.take(n, 5, Duration::from_secs(60)).unwrap();
        }
        assert!(lock(&windows.seen).len() <= REMEMBERED);
    }

    #[test]
    fn a_household_is_one_network_in_either_family() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn wrong_guesses_slow_the_next_ones_and_a_right_one_ends_it() {
        let brake = Brake::default();
        for _ in 0..FREE {
            assert_eq!(brake.turn("ada"), Ok(Duration::ZERO));
            brake.wrong("ada");
        }
        assert_eq!(brake.turn("ada"), Ok(Duration::ZERO));
        assert!(brake.turn("ada").unwrap() > Duration::from_millis(200));
        for _ in 0..10 {
            brake.wrong("ada");
        }
        let sent_away = (0..100).filter(|_| brake.turn("ada").is_err()).count();
        assert!(sent_away > 90);
        assert_eq!(brake.turn("bob"), Ok(Duration::ZERO));
        brake.right("ada");
        assert_eq!(brake.turn("ada"), Ok(Duration::ZERO));
    }
}
