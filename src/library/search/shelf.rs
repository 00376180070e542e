//! The index of one person's chats on the disk: which words stand in which message. The messages themselves are not in it;
//! what is shown is read from the chats.

use std::collections::HashMap;
use std::path::Path;

use tantivy::collector::{Count, TopDocs};
use tantivy::directory::MmapDirectory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery, TermSetQuery};
use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Index, IndexReader, IndexWriter, Order, ReloadPolicy, Searcher, TantivyDocument, Term};

use super::roll::Roll;
use super::wanted::{Wanted, Word};
use super::words::IndexWords;

/// What the index holds of words before it writes them down, in bytes.
const HEAP: usize = 18_000_000;
/// Beginnings of words stand for at most so many words, and together for so many messages.
const STARTS_MAX: usize = 200;
const MEANT_MAX: u64 = 400_000;
/// Of so many words of one part of the index, the most frequent are chosen.
const LOOKED_AT_MAX: usize = 30_000;
/// The largest index that is read from end to end when it is opened, in bytes.
const CHECKED_MAX: u64 = 64 << 20;
/// A lone letter stands for itself: too much begins like it.
const START_MIN: usize = 2;

/// A message in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The chat, by its number in the roll.
    pub chat: u64,
    /// The message, counted as the chat counts.
    pub index: u64,
    /// Where its line begins in the file.
    pub start: u64,
    /// How long that is.
    pub length: u64,
}

/// A message to be put into the index.
pub struct Entry<'a> {
    /// Where it is.
    pub place: Found,
    /// A number that stands for the character.
    pub who: u64,
    /// When it was sent, in milliseconds since 1970.
    pub sent: i64,
    /// Its words.
    pub text: &'a str,
}

#[derive(Clone, Copy)]
struct Fields {
    text: Field,
    chat: Field,
    who: Field,
    index: Field,
    start: Field,
    length: Field,
    sent: Field,
}

/// An open index.
pub struct Shelf {
    index: Index,
    reader: IndexReader,
    fields: Fields,
}

impl Shelf {
    /// Opens the index in `folder`, or makes one there.
    pub fn open(folder: &Path) -> tantivy::Result<Self> {
        let (schema, fields) = schema();
        let directory = MmapDirectory::open(folder).map_err(tantivy::TantivyError::from)?;
        let index = Index::builder().schema(schema).open_or_create(directory)?;
        index.tokenizers().register("words", IndexWords::default());
        let reader =
            index.reader_builder().reload_policy(ReloadPolicy::Manual).doc_store_cache_num_blocks(1).try_into()?;
        Ok(Self { index, reader, fields })
    }

    /// What the index says it holds; `None` if that cannot be told.
    pub fn roll(&self) -> tantivy::Result<Option<Roll>> {
        let metas = self.index.load_metas()?;
        match &metas.payload {
            None if metas.segments.is_empty() => Ok(Some(Roll::default())),
            None => Ok(None),
            Some(payload) => Ok(serde_json::from_str(payload).ok().filter(Roll::is_ours)),
        }
    }

    /// Whether its bytes are those that were written. A large index is not read for that: where it is wrong, that shows
    /// when it is used.
    pub fn is_sound(&self) -> bool {
        let bytes = self.reader.searcher().space_usage().map(|usage| usage.total().get_bytes());
        match bytes {
            Ok(bytes) if bytes <= CHECKED_MAX => self.index.validate_checksum().is_ok_and(|bad| bad.is_empty()),
            Ok(_) => true,
            Err(_) => false,
        }
    }

    /// Starts to change the index.
    pub fn writer(&self) -> tantivy::Result<Changing> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(HEAP)
            .build();
        let writer = self.index.writer_with_options(options)?;
        writer.set_merge_policy(Box::new(LogMergePolicy::default()));
        Ok(Changing { fields: self.fields, reader: self.reader.clone(), writer })
    }

    /// The newest messages that have the words, and how many have. With phrases the words alone are looked for.
    pub fn find(&self, wanted: &Wanted, who: Option<u64>, most: usize) -> tantivy::Result<(usize, Vec<Found>)> {
        let searcher = self.reader.searcher();
        let mut parts: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for word in &wanted.words {
            parts.push((Occur::Must, self.query_of(&searcher, word)?));
        }
        if let Some(who) = who {
            let term = Term::from_field_u64(self.fields.who, who);
            parts.push((Occur::Must, Box::new(TermQuery::new(term, IndexRecordOption::Basic))));
        }
        if parts.is_empty() {
            return Ok((0, Vec::new()));
        }
        let newest = TopDocs::with_limit(most.max(1)).order_by_fast_field::<i64>("sent", Order::Desc);
        let (total, found) = searcher.search(&BooleanQuery::new(parts), &(Count, newest))?;
        let mut messages = Vec::with_capacity(found.len());
        for (_, address) in found {
            let segment = searcher.segment_reader(address.segment_ord);
            let value = |name: &str| -> tantivy::Result<u64> {
                Ok(segment.fast_fields().u64(name)?.first(address.doc_id).unwrap_or(0))
            };
            messages.push(Found {
                chat: value("chat")?,
                index: value("index")?,
                start: value("start")?,
                length: value("length")?,
            });
        }
        Ok((total, messages))
    }

    fn query_of(&self, searcher: &Searcher, word: &Word) -> tantivy::Result<Box<dyn Query>> {
        let term = Term::from_field_text(self.fields.text, &word.text);
        let is_short = word.text.is_ascii() && word.text.len() < START_MIN;
        if !word.is_start || is_short {
            return Ok(Box::new(TermQuery::new(term, IndexRecordOption::Basic)));
        }
        let mut terms = vec![term];
        terms.extend(self.beginning_with(searcher, &word.text)?);
        Ok(Box::new(TermSetQuery::new(terms)))
    }

    /// The words that begin with `start`, the most frequent first, as far as they can be looked for in time.
    fn beginning_with(&self, searcher: &Searcher, start: &str) -> tantivy::Result<Vec<Term>> {
        let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
        for segment in searcher.segment_readers() {
            let inverted = segment.inverted_index(self.fields.text)?;
            // 0xff is in no text.
            let end = [start.as_bytes(), &[0xff]].concat();
            let mut words = inverted.terms().range().ge(start.as_bytes()).lt(&end).into_stream()?;
            let mut looked_at = 0;
            while let Some((word, info)) = words.next() {
                looked_at += 1;
                if looked_at > LOOKED_AT_MAX {
                    break;
                }
                match counts.get_mut(word) {
                    Some(count) => *count += u64::from(info.doc_freq),
                    None => drop(counts.insert(word.to_vec(), u64::from(info.doc_freq))),
                }
            }
        }
        let mut counts: Vec<(Vec<u8>, u64)> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let mut meant = 0;
        let chosen = counts.into_iter().take(STARTS_MAX).take_while(|(_, count)| {
            let goes = meant == 0 || meant + count <= MEANT_MAX;
            meant += count;
            goes
        });
        Ok(chosen
            .filter_map(|(word, _)| Some(Term::from_field_text(self.fields.text, std::str::from_utf8(&word).ok()?)))
            .collect())
    }
}

/// An index that is being changed. Nothing has changed until [`Changing::commit`]. Dropped when all is done: it holds
/// memory and threads.
pub struct Changing {
    fields: Fields,
    reader: IndexReader,
    writer: IndexWriter,
}

impl Changing {
    /// Adds a message.
    pub fn add(&self, entry: &Entry<'_>) -> tantivy::Result<()> {
        let fields = self.fields;
        let mut document = TantivyDocument::new();
        document.add_text(fields.text, entry.text);
        document.add_u64(fields.chat, entry.place.chat);
        document.add_u64(fields.who, entry.who);
        document.add_u64(fields.index, entry.place.index);
        document.add_u64(fields.start, entry.place.start);
        document.add_u64(fields.length, entry.place.length);
        document.add_i64(fields.sent, entry.sent);
        self.writer.add_document(document).map(drop)
    }

    /// Takes all messages of a chat out.
    pub fn remove(&self, chat: u64) {
        self.writer.delete_term(Term::from_field_u64(self.fields.chat, chat));
    }

    /// Writes what has changed down, with the roll that says so, and shows it to whoever searches next.
    pub fn commit(&mut self, roll: &Roll) -> tantivy::Result<()> {
        let roll = serde_json::to_string(roll).map_err(std::io::Error::other)?;
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&roll);
        prepared.commit()?;
        self.reader.reload()
    }

    /// Waits until nothing is under way any more.
    pub fn finish(self) -> tantivy::Result<()> {
        self.writer.wait_merging_threads()?;
        self.reader.reload()
    }
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    // Which messages have a word is all that is asked: neither how often nor where.
    let words = TextFieldIndexing::default()
        .set_tokenizer("words")
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::Basic);
    let fields = Fields {
        text: schema.add_text_field("text", TextOptions::default().set_indexing_options(words)),
        chat: schema.add_u64_field("chat", INDEXED | FAST),
        who: schema.add_u64_field("who", INDEXED),
        index: schema.add_u64_field("index", FAST),
        start: schema.add_u64_field("start", FAST),
        length: schema.add_u64_field("length", FAST),
        sent: schema.add_i64_field("sent", FAST),
    };
    (schema.build(), fields)
}
