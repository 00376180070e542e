//! Figures with their bounds, as one table; and how much of the machine others used meanwhile.

use std::fmt;

use crate::process;

/// Only what misses its bound by more than this is a failure: the rest may be noise.
const CLEARLY: f64 = 0.8;

/// What a figure must be.
#[derive(Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// Told for what it explains, bound by nothing.
    None,
}

/// One line of the table.
pub struct Row {
    /// What was measured.
    pub what: String,
    /// Ours, with its unit.
    pub ours: String,
    /// The peer's or the limit, with its unit.
    pub beside: String,
    /// What the bound is about: a ratio, or ours as a part of the limit; none of what stands alone.
    pub ratio: Option<f64>,
    /// The lowest and highest ratio of the rounds.
    pub spread: Option<(f64, f64)>,
    pub bound: Bound,
}

impl Row {
    /// A figure with a limit.
    pub fn limited(what: &str, ours: f64, limit: f64, unit: &str) -> Self {
        Self {
            what: what.to_owned(),
            ours: format!("{ours:.1} {unit}"),
            beside: format!("at most {limit:.0} {unit}"),
            ratio: Some(ours / limit),
            spread: None,
            bound: Bound::AtMost(1.0),
        }
    }

    /// A figure that is only told.
    pub fn told(what: &str, ours: f64, unit: &str) -> Self {
        Self {
            what: what.to_owned(),
            ours: format!("{ours:.1} {unit}"),
            beside: String::new(),
            ratio: None,
            spread: None,
            bound: Bound::None,
        }
    }

    /// Medians of alternating rounds of ours and a peer's; `ratio` says which way they are compared.
    pub fn paired(
        what: &str,
        ours: &[f64],
        peer: &[f64],
        unit: &str,
        bound: Bound,
        ratio: fn(f64, f64) -> f64,
    ) -> Self {
        let rounds: Vec<f64> = ours.iter().zip(peer).map(|(ours, peer)| ratio(*ours, *peer)).collect();
        let (mine, theirs) = (median(ours), median(peer));
        let digits = if mine < 10.0 { 2 } else { 0 };
        Self {
            what: what.to_owned(),
            ours: format!("{mine:.digits$} {unit}"),
            beside: format!("{theirs:.digits$} {unit}"),
            ratio: Some(ratio(mine, theirs)),
            spread: Some((smallest(&rounds), largest(&rounds))),
            bound,
        }
    }

    fn verdict(&self) -> &'static str {
        let reached = match (self.bound, self.ratio) {
            (Bound::AtLeast(least), Some(ratio)) => ratio / least,
            // What is below nothing at all is within any limit.
            (Bound::AtMost(most), Some(ratio)) => most / ratio.max(f64::MIN_POSITIVE),
            (Bound::None, _) | (_, None) => return "",
        };
        match reached {
            1.0.. => "yes",
            CLEARLY.. => "just missed",
            _ => "MISSED",
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least:.2}"),
            Self::AtMost(most) => write!(f, "≤ {most:.2}"),
            Self::None => Ok(()),
        }
    }
}

/// All lines.
#[derive(Default)]
pub struct Report {
    rows: Vec<(Row, f64)>,
}

impl Report {
    /// Adds a section's lines. `others` is the part of the processors that other programs used meanwhile.
    pub fn add(&mut self, rows: Vec<Row>, others: f64) {
        self.rows.extend(rows.into_iter().map(|row| (row, others)));
    }

    /// Whether no bound is clearly missed.
    pub fn is_good(&self) -> bool {
        self.rows.iter().all(|(row, _)| row.verdict() != "MISSED")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | ours | peer or limit | ratio | rounds | must be | reached | others' CPU |")?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for (row, others) in &self.rows {
            let rounds = row.spread.map_or(String::new(), |(least, most)| format!("{least:.2} to {most:.2}"));
            let Row { what, ours, beside, ratio, bound, .. } = row;
            let ratio = ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
            let (verdict, percent) = (row.verdict(), others * 100.0);
            writeln!(f, "| {what} | {ours} | {beside} | {ratio} | {rounds} | {bound} | {verdict} | {percent:.0} % |")?;
        }
        Ok(())
    }
}

/// How much of the machine others use: the noise that a figure was measured in.
pub struct Noise {
    machine: process::Machine,
    own: f64,
}

impl Noise {
    pub fn start() -> Self {
        Self { machine: process::machine(), own: process::family_seconds() }
    }

    /// The part of the processors that programs other than this one and its children used since the start.
    pub fn others(&self) -> f64 {
        let now = process::machine();
        let busy = now.busy - self.machine.busy - (process::family_seconds() - self.own);
        (busy / (now.total - self.machine.total)).max(0.0)
    }
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value that the part `at` of `values` does not exceed.
pub fn quantile(values: &[f64], at: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * at).round() as usize).copied().unwrap_or(f64::NAN)
}

fn smallest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}
