//! The hash chain: each line names the hash of the one before.

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The end of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Number of the last line; 0 before the first.
    pub seq: u64,
    /// SHA-256 of the last line without its line break.
    pub hash: String,
    /// When it was written, milliseconds since 1970. Keeps a clock set back from opening an earlier month again.
    pub(super) at: i64,
}

impl Head {
    /// Before the first line: bound to the folder's identity, so that one house's log cannot be passed off as another's.
    pub(super) fn first(install_id: &str) -> Self {
        Self::of(0, install_id.as_bytes(), 0)
    }

    pub(super) fn of(seq: u64, line: &[u8], at: i64) -> Self {
        let hash = Sha256::digest(line).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { seq, hash, at }
    }

    pub(super) fn next(&self, line: &[u8], at: i64) -> Self {
        Self::of(self.seq + 1, line, at.max(self.at))
    }

    /// `<seq> <hash>`, as it is noted outside the data folder and shown to people.
    pub fn to_text(&self) -> String {
        format!("{} {}\n", self.seq, self.hash)
    }

    /// Reads [`Head::to_text`].
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, hash) = text.trim().split_once(' ')?;
        Some(Self { seq: seq.parse().ok()?, hash: hash.to_owned(), at: 0 })
    }
}

/// What of a line the chain is made of.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    seq: u64,
    prev: String,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Lines read.
    pub lines: u64,
    /// The first thing that is wrong, in words: file, line, what.
    pub first_fault: Option<String>,
    /// The end of the chain as it is now.
    pub head: Head,
}

pub(super) struct Checker {
    head: Head,
    noted: Option<Head>,
    noted_seen: bool,
    lines: u64,
    fault: Option<String>,
}

impl Checker {
    pub(super) fn new(first: Head, noted: Option<Head>) -> Self {
        Self { head: first, noted, noted_seen: false, lines: 0, fault: None }
    }

    pub(super) fn line(&mut self, file: &str, number: usize, text: &[u8], link: Option<Link>) {
        self.lines += 1;
        let fault = match &link {
            None => Some("is not readable".to_owned()),
            Some(link) if link.seq != self.head.seq + 1 => {
                Some(format!("has number {} where {} was due: lines are missing or moved", link.seq, self.head.seq + 1))
            }
            Some(link) if link.prev != self.head.hash => Some("does not follow from the line before it".to_owned()),
            Some(_) => None,
        };
        if self.fault.is_none() {
            self.fault = fault.map(|fault| format!("{file} line {number} {fault}"));
        }
        self.head = Head::of(link.map_or(self.head.seq + 1, |link| link.seq), text, 0);
        self.noted_seen |=
            self.noted.as_ref().is_some_and(|noted| noted.seq == self.head.seq && noted.hash == self.head.hash);
    }

    pub(super) fn finish(mut self) -> Report {
        if let (Some(noted), None, false) = (&self.noted, &self.fault, self.noted_seen)
            && noted.seq > 0
        {
            self.fault = Some(format!(
                "line {} with hash {}, noted outside the data folder, is not in the log: its end was cut or written anew",
                noted.seq, noted.hash
            ));
        }
        Report { lines: self.lines, first_fault: self.fault, head: self.head }
    }
}
