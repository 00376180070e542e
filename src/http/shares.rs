//! What nobody may have too much of: connections from one network, downloads of one person.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use crate::mutex::lock;

/// How many of something each `K` has at the moment, of so many in all.
pub struct Shares<K> {
    counts: Arc<Mutex<HashMap<K, usize>>>,
    in_all: usize,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// Nobody has any yet, and all together get at most `in_all`.
    pub fn new(in_all: usize) -> Self {
        Self { counts: Arc::default(), in_all }
    }

    /// One more for `key`, unless it has `most` already or there are no more.
    pub fn take(&self, key: K, most: usize) -> Option<Share<K>> {
        let mut counts = lock(&self.counts);
        if counts.get(&key).is_some_and(|count| *count >= most) || counts.values().sum::<usize>() >= self.in_all {
            return None;
        }
        *counts.entry(key.clone()).or_insert(0) += 1;
        Some(Share { counts: Arc::clone(&self.counts), key })
    }
}

/// One of them; it is given back when this is dropped.
pub struct Share<K: Eq + Hash> {
    counts: Arc<Mutex<HashMap<K, usize>>>,
    key: K,
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_its_share_and_all_together_no_more_than_there_is() {
        let shares = Shares::new(3);
        let ada = [shares.take("ada", 2), shares.take("ada", 2)];
        assert!(ada.iter().all(Option::is_some) && shares.take("ada", 2).is_none());
        let bob = shares.take("bob", 2);
        assert!(bob.is_some() && shares.take("bob", 2).is_none(), "there are three in all");
        drop(ada);
        assert!(shares.take("bob", 2).is_some());
        drop(bob);
        assert!(shares.counts.lock().unwrap().is_empty(), "who has none is not kept");
    }
}
