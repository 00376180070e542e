//! The way of one question: what a dialect prepares is sent, and what comes back goes through its decoder, piece by piece.
//!
//! A piece is passed on in the moment in which its last byte is here: nothing is collected, and what came in one packet
//! is handed out without a wait in between. Dropping the [`Pieces`] drops the connection.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::frames::{Frame, Framing, is_crowded};
use super::stops::Stops;
use super::think::Thinking;
use super::words::{Problem, Words};
use super::{Finish, Piece, Pieces, Usage};
use crate::egress::{Egress, HeaderMap, Method, Reach, Request, Response, Target};
use crate::error::{Error, Result};

/// The largest answer, in bytes as they come in, all fields included.
const MAX_ANSWER: usize = 64 << 20;
/// The most that it may say, in bytes: beyond what a reply may have, and so that nobody's memory is filled.
const MAX_SAID: usize = 8 << 20;
/// The largest list of models and the like.
const MAX_DOCUMENT: usize = 8 << 20;
/// As much of a refusal as is read.
const MAX_REFUSAL: usize = 256 << 10;
/// How long a list or a refusal may take.
const DOCUMENT_PATIENCE: Duration = Duration::from_secs(30);
/// How long what was used up is waited for after the last word.
const AFTERWORD: Duration = Duration::from_secs(5);

/// How long is waited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    /// For the first piece, and between pieces while the server shows that it lives.
    pub(super) first_word: Duration,
    /// For anything at all, once something has come.
    pub(super) silence: Duration,
    /// For the end, whatever comes.
    pub(super) reply: Duration,
}

/// A question in a dialect, ready to be sent.
pub(super) struct Prepared {
    pub(super) target: Target,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
    pub(super) framing: Framing,
    pub(super) decoder: Box<dyn Decoder>,
    /// Where the answer stops, for servers that may not keep these words out of it.
    pub(super) stop: Vec<String>,
    /// Changes a body that was refused with these words so that it may be taken; whether there was anything to change.
    pub(super) fallback: Option<fn(&mut Value, &str) -> bool>,
}

/// What a dialect's answers mean.
pub(super) trait Decoder: Send + Sync {
    /// Takes one message, and whether it is the last.
    fn frame(&mut self, frame: &Frame, out: &mut Out) -> Result<bool, Problem>;

    /// The connection has ended in an orderly way; whether that alone says that the answer is complete.
    fn ends_with_the_connection(&self) -> bool {
        false
    }
}

/// Where a decoder puts what it finds.
#[derive(Default)]
pub(super) struct Out {
    pieces: VecDeque<Piece>,
    thinking: Thinking,
    stops: Stops,
    finish: Option<Finish>,
    stopped: bool,
}

impl Out {
    /// For an answer that continues `begun`, and stops at these words.
    fn new(begun: &str, stop: Vec<String>) -> Self {
        Self { thinking: Thinking::continuing(begun), stops: Stops::at(stop), ..Self::default() }
    }

    pub(super) fn text(&mut self, text: &str) {
        if text.is_empty() || self.stopped {
            return;
        }
        let (text, stopped) = self.stops.push(text);
        self.thinking.push(&text, &mut self.pieces);
        if stopped {
            self.stopped = true;
            self.finish(Finish::Stop);
        }
    }

    pub(super) fn reasoning(&mut self, text: &str) {
        if !text.is_empty() {
            self.pieces.push_back(Piece::Reasoning(text.to_owned()));
        }
    }

    pub(super) fn usage(&mut self, usage: Usage) {
        self.pieces.push_back(Piece::Usage(usage));
    }

    /// The server has said why it ends. What was used up may follow.
    pub(super) fn finish(&mut self, finish: Finish) {
        self.let_go();
        self.finish = Some(finish);
    }

    /// Gives what was held back as the possible begin of something.
    fn let_go(&mut self) {
        let rest = self.stops.rest();
        self.thinking.push(&rest, &mut self.pieces);
        self.thinking.finish(&mut self.pieces);
    }

    /// Whether the server has said why it ends.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }
}

/// Leaves out of a refused body what the refusal says is not supported, as far as it is only a preference.
pub(super) fn leave_out(body: &mut Map<String, Value>, refusal: &str, preferences: &[&str]) -> bool {
    let lower = refusal.to_ascii_lowercase();
    let reasons =
        ["unsupported", "not support", "not permitted", "not allowed", "deprecated", "cannot both", "unknown"];
    if !reasons.iter().any(|reason| lower.contains(reason)) {
        return false;
    }
    let before = body.len();
    for name in preferences.iter().filter(|name| refusal.contains(**name)) {
        body.shift_remove(*name);
    }
    body.len() < before
}

/// Sends what was prepared, once more if the server can be met half-way, and hands back the answer as it comes.
pub(super) async fn ask(
    egress: &Egress,
    reach: Reach,
    mut prepared: Prepared,
    words: Words,
    waits: Waits,
    begun: &str,
) -> Result<Pieces> {
    let begun_at = Instant::now();
    let sending = send(egress, reach, &mut prepared, &words, waits);
    let response = tokio::time::timeout(waits.reply, sending).await.map_err(|_| words.silent())??;
    let answer = Answer::new(response, prepared, words, waits, begun, begun_at);
    answer.check_type()?;
    Ok(Box::pin(unfold(answer, |mut answer| async move { answer.next().await.map(|piece| (piece, answer)) })))
}

/// Sends until it is taken or refused for good.
async fn send(egress: &Egress, reach: Reach, prepared: &mut Prepared, words: &Words, waits: Waits) -> Result<Response> {
    let mut tries = 5;
    loop {
        let request = request(prepared, waits)?;
        let response = egress.send(reach, request).await.map_err(|failure| words.failure(&failure))?;
        let response = response.at_most(MAX_ANSWER);
        if (200..300).contains(&response.status) {
            return Ok(response);
        }
        let (status, headers) = (response.status, response.headers.clone());
        let refusal = response.at_most(MAX_REFUSAL).whole(DOCUMENT_PATIENCE).await.unwrap_or_default();
        tries -= 1;
        let changed = matches!(status, 400 | 422)
            && tries > 0
            && prepared.fallback.is_some_and(|change| change(&mut prepared.body, &String::from_utf8_lossy(&refusal)));
        if !changed {
            return Err(words.status(status, &headers, &refusal));
        }
    }
}

/// What of it goes over the wire, without the decoder, which no two threads may look at.
fn request(prepared: &Prepared, waits: Waits) -> Result<Request> {
    let body = serde_json::to_vec(&prepared.body).map_err(Error::internal)?;
    Ok(Request {
        method: Method::POST,
        target: prepared.target.clone(),
        headers: prepared.headers.clone(),
        body: Some(Bytes::from(body)),
        patience: waits.first_word,
    })
}

/// Gets a JSON document, such as a list of models; with a body it is asked for by `POST`.
pub(super) async fn document(
    egress: &Egress,
    reach: Reach,
    target: Target,
    headers: HeaderMap,
    body: Option<Value>,
    words: &Words,
) -> Result<Value> {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let body = body.map(|body| Bytes::from(body.to_string()));
    let request = Request { method, target, headers, body, patience: DOCUMENT_PATIENCE };
    let response = egress.send(reach, request).await.map_err(|failure| words.failure(&failure))?;
    let (status, headers) = (response.status, response.headers.clone());
    if status != 200 {
        let refusal = response.at_most(MAX_REFUSAL).whole(DOCUMENT_PATIENCE).await.unwrap_or_default();
        return Err(words.status(status, &headers, &refusal));
    }
    let read = response.at_most(MAX_DOCUMENT).whole(DOCUMENT_PATIENCE).await;
    let body = read.map_err(|failure| words.failure(&failure))?;
    if body.trim_ascii_start().starts_with(b"<") {
        return Err(words.page());
    }
    if is_crowded(&body) {
        return Err(words.too_much());
    }
    serde_json::from_slice(&body).map_err(|error| words.garbage(&error.to_string()))
}

/// An answer on its way.
struct Answer {
    /// None when it is over.
    response: Option<Response>,
    framing: Framing,
    decoder: Box<dyn Decoder>,
    out: Out,
    words: Words,
    waits: Waits,
    /// When it is over, whatever comes.
    ends_at: Instant,
    /// How many bytes of words there were.
    said: usize,
    last_piece: Instant,
    last_sign: Option<Instant>,
    finished: Option<Instant>,
    error: Option<Error>,
    /// A message has come, whatever it says.
    spoken: bool,
}

impl Answer {
    fn new(response: Response, prepared: Prepared, words: Words, waits: Waits, begun: &str, begun_at: Instant) -> Self {
        Self {
            response: Some(response),
            framing: prepared.framing,
            decoder: prepared.decoder,
            out: Out::new(begun, prepared.stop),
            words,
            waits,
            ends_at: begun_at + waits.reply,
            said: 0,
            last_piece: Instant::now(),
            last_sign: None,
            finished: None,
            error: None,
            spoken: false,
        }
    }

    /// Notices a page.
    fn check_type(&self) -> Result<()> {
        let kind = self.response.as_ref().and_then(|response| response.header("content-type")).unwrap_or_default();
        if kind.starts_with("text/html") { Err(self.words.page()) } else { Ok(()) }
    }

    async fn next(&mut self) -> Option<Result<Piece>> {
        loop {
            if let Some(piece) = self.out.pieces.pop_front() {
                return Some(Ok(piece));
            }
            // A server that always has something ready would never let a clock have its say.
            tokio::task::consume_budget().await;
            if let Some(error) = self.error.take() {
                return Some(Err(error));
            }
            self.response.as_ref()?;
            if let Err(error) = self.more().await {
                // What came before it in the same packet is handed out first.
                self.response = None;
                self.out.let_go();
                self.error = Some(error);
            }
        }
    }

    /// Waits for bytes and takes them in.
    async fn more(&mut self) -> Result<()> {
        let deadline = self.deadline();
        let Some(response) = &mut self.response else { return Ok(()) };
        let come = tokio::time::timeout_at(deadline, response.chunk());
        let chunk = match come.await.ok().filter(|_| Instant::now() < deadline) {
            Some(chunk) => chunk,
            // Everything has been said but what was used up.
            None if self.out.finish.is_some() => return self.end(),
            None if deadline == self.ends_at => return Err(self.words.too_slow(self.waits.reply)),
            None => return Err(self.words.silent()),
        };
        match chunk {
            Ok(Some(bytes)) => self.take(&bytes),
            Ok(None) => self.at_end(),
            Err(_) if self.out.finish.is_some() => self.end(),
            Err(failure) => Err(self.words.failure(&failure)),
        }
    }

    fn deadline(&self) -> Instant {
        let first_word = self.last_piece + self.waits.first_word;
        let silence = self.last_sign.map_or(first_word, |sign| sign + self.waits.silence);
        let afterword = self.finished.map_or(first_word, |finished| finished + AFTERWORD);
        first_word.min(silence).min(afterword).min(self.ends_at)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let mut frames = Vec::new();
        let pushed = self.framing.push(bytes, &mut frames);
        let mut over = false;
        for frame in &frames {
            over = over || self.frame(frame)?;
        }
        let now = Instant::now();
        if pushed.map_err(|long| self.words.too_long(long))? {
            self.last_sign = Some(now);
        }
        if !self.out.pieces.is_empty() {
            self.last_piece = now;
        }
        self.said += self.out.pieces.iter().map(Piece::length).sum::<usize>();
        if self.said > MAX_SAID {
            return Err(self.words.too_much());
        }
        if self.out.finish.is_some() && self.finished.is_none() {
            self.finished = Some(now);
        }
        if over { self.end() } else { Ok(()) }
    }

    fn frame(&mut self, frame: &Frame) -> Result<bool> {
        self.spoken = true;
        if is_crowded(frame.data.as_bytes()) {
            return Err(self.words.too_much());
        }
        let last = self.decoder.frame(frame, &mut self.out).map_err(|problem| self.words.problem(problem))?;
        Ok(last || self.out.stopped)
    }

    /// The server has closed the connection.
    fn at_end(&mut self) -> Result<()> {
        if let Some(rest) = self.framing.rest() {
            self.spoken = true;
            if is_crowded(rest.data.as_bytes()) {
                return Err(self.words.too_much());
            }
            let is_whole = matches!(self.framing, Framing::Whole(_));
            match self.decoder.frame(&rest, &mut self.out) {
                Ok(_) => {}
                // What has no end cannot be expected to have a sense.
                Err(Problem::Garbage(_)) if !is_whole => return Err(self.words.cut()),
                Err(problem) => return Err(self.words.problem(problem)),
            }
        }
        if !self.spoken && self.out.finish.is_none() {
            return Err(self.words.garbage("it ended without a single message"));
        }
        self.end()
    }

    /// Nothing more is to come.
    fn end(&mut self) -> Result<()> {
        if self.out.finish.is_none() && self.decoder.ends_with_the_connection() {
            self.out.finish(Finish::Stop);
        }
        let Some(finish) = self.out.finish else { return Err(self.words.cut()) };
        self.out.pieces.push_back(Piece::End(finish));
        if let Some(response) = self.response.take() {
            tokio::spawn(see_off(response));
        }
        Ok(())
    }
}

/// Takes in the end of a body, which may be a moment behind the last word: then the connection serves the next question.
async fn see_off(mut response: Response) {
    let end = async { while let Ok(Some(_)) = response.chunk().await {} };
    let _ = tokio::time::timeout(Duration::from_secs(1), end).await;
}

#[cfg(test)]
mod tests;
