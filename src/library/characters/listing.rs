//! The list of characters: searching, filtering, sorting, paging.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::index::{ChatsSeen, Row};
use super::{Characters, Snapshot};
use crate::error::{Error, Result};
use crate::store::{FileName, Handle};

/// The most that one page has.
pub const PAGE_MAX: usize = 500;
/// The most tags that are counted for a list.
const TAGS_MAX: usize = 500;
/// The most words of a search that count.
const WORDS_MAX: usize = 16;

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Whoever was last talked to; then by when they came.
    #[default]
    Recent,
    /// By name.
    Name,
    /// The newest first.
    Added,
    /// Whoever was talked to most.
    Chats,
}

impl Order {
    /// Reads `recent`, `name`, `added` or `chats`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "recent" => Ok(Self::Recent),
            "name" => Ok(Self::Name),
            "added" => Ok(Self::Added),
            "chats" => Ok(Self::Chats),
            _ => Err(Error::invalid("bad_request", "The order is recent, name, added or chats.")),
        }
    }
}

/// What somebody wants to see.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Words that have to occur, each somewhere in name, creator, tags or summary.
    pub words: String,
    /// Tags that all have to be there.
    pub tags: Vec<String>,
    /// Only favourites, or only others.
    pub favorite: Option<bool>,
    /// In which order.
    pub order: Order,
    /// How many are passed over.
    pub offset: usize,
    /// How many are wanted.
    pub limit: usize,
}

/// A character in the list.
pub struct Item {
    /// The card.
    pub row: Arc<Row>,
    /// Its chats.
    pub chats: ChatsSeen,
    /// Tags that SillyTavern keeps in the settings, which are not the card's own.
    pub more_tags: Vec<Arc<str>>,
}

/// A part of the list.
pub struct Page {
    /// How many there are in all that fit.
    pub total: usize,
    /// Tags of those that fit, with how many have each, the most frequent first.
    pub tags: Vec<(Arc<str>, usize)>,
    /// The part.
    pub items: Vec<Item>,
}

/// Tags that SillyTavern keeps in the settings, by character.
pub(super) type MoreTags = HashMap<FileName, Vec<Arc<str>>>;

impl Characters {
    /// The part of the list that is wanted.
    pub fn list(&self, handle: &Handle, wanted: &Wanted) -> Result<Page> {
        self.settle(handle);
        let snapshot = self.index.look(handle)?;
        let more = self.more_tags(handle);
        let mut found = matching(&snapshot, &more, wanted);
        sort(&mut found, &snapshot, wanted.order);
        let tags = count_tags(&found, &more);
        let (total, limit) = (found.len(), wanted.limit.clamp(1, PAGE_MAX));
        let part: Vec<Arc<Row>> = found.into_iter().skip(wanted.offset).take(limit).cloned().collect();
        // The order may rest on what was seen a moment ago; what is shown is what is there now.
        let mut items = Vec::with_capacity(part.len());
        for row in part {
            let chats = self.index.chats_of(handle, &row.id)?;
            let more_tags = more.get(&row.id).cloned().unwrap_or_default();
            items.push(Item { row, chats, more_tags });
        }
        let seen: Vec<_> = items.iter().map(|item| (item.row.id.clone(), item.chats)).collect();
        self.index.note_chats(handle, &seen);
        Ok(Page { total, tags, items })
    }
}

fn matching<'a>(snapshot: &'a Snapshot, more: &MoreTags, wanted: &Wanted) -> Vec<&'a Arc<Row>> {
    let text = wanted.words.to_lowercase();
    let words: Vec<_> = text.split_whitespace().take(WORDS_MAX).map(memchr::memmem::Finder::new).collect();
    let has_tag = |row: &Row, tag: &String| {
        let own = row.tags.iter().any(|own| **own == **tag);
        own || more.get(&row.id).is_some_and(|more| more.iter().any(|more| **more == **tag))
    };
    snapshot
        .rows
        .iter()
        .filter(|row| wanted.favorite.is_none_or(|favorite| row.favorite == favorite))
        .filter(|row| wanted.tags.iter().all(|tag| has_tag(row, tag)))
        .filter(|row| words.iter().all(|word| word.find(row.haystack.as_bytes()).is_some()))
        .collect()
}

fn sort(rows: &mut [&Arc<Row>], snapshot: &Snapshot, order: Order) {
    let chats = |row: &Row| snapshot.chats.get(&row.id).copied().unwrap_or_default();
    // The haystack begins with the name in small letters.
    match order {
        Order::Name => rows.sort_unstable_by(|a, b| a.haystack.cmp(&b.haystack).then_with(|| a.id.cmp(&b.id))),
        Order::Added => rows.sort_by_key(|row| Reverse(row.added)),
        Order::Recent => rows.sort_by_cached_key(|row| Reverse((chats(row).last, row.added))),
        Order::Chats => rows.sort_by_cached_key(|row| Reverse((chats(row).size, row.added))),
    }
}

fn count_tags(rows: &[&Arc<Row>], more: &MoreTags) -> Vec<(Arc<str>, usize)> {
    let mut counts: HashMap<&Arc<str>, usize> = HashMap::new();
    for row in rows {
        for tag in row.tags.iter().chain(more.get(&row.id).into_iter().flatten()) {
            *counts.entry(tag).or_default() += 1;
        }
    }
    let mut counted: Vec<_> = counts.into_iter().map(|(tag, count)| (Arc::clone(tag), count)).collect();
    counted.sort_unstable_by(|(a, many), (b, more)| more.cmp(many).then_with(|| a.cmp(b)));
    counted.truncate(TAGS_MAX);
    counted
}
