//! `POST /v1/chat/completions`: asking a model, with the answer piece by piece or at once.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::timeout;

use super::answer::{self, Head};
use super::models::{self, Named};
use super::request::Completion;
use crate::blocking::blocking;
use crate::conversation::generations::Admitted;
use crate::conversation::programs::Question;
use crate::conversation::talking::{self, Talking};
use crate::error::{Error, Kind, Result};
use crate::http::call::Call;
use crate::http::gate;
use crate::http::reply::{self, Reply};
use crate::http::sse::{self, Looks};
use crate::http::state::State;
use crate::models::usage::{Meter, Source};
use crate::models::{Ask, Connection, Finish, Piece, Pieces};

/// Pieces that may wait for the client. Then the model waits too.
const WAITING: usize = 16;
/// A client that takes nothing for so long has gone away.
const STALLED: Duration = Duration::from_secs(120);

/// `POST /v1/chat/completions`.
pub async fn complete(mut call: Call) -> Result<Reply> {
    let mut asked: Completion = call.json().await?;
    asked.check()?;
    let handle = call.me()?.handle.clone();
    let named = models::find(&call.state, &handle, &asked.model).await?;
    let (connection, ask) = ask_of(&call, &mut asked, named).await?;
    let app = Arc::clone(&call.state.app);
    let mut meter = Meter::new(&app.ledger, &handle, &connection, &ask, Source::Api);
    let seat = app.talk.admit(&handle, &talking::line(&connection)).await?;
    let watch = Watch::of(&call);
    // The turn may have been long in coming.
    if !watch.still_may() {
        return Err(ended_key());
    }
    let (connections, of) = (Arc::clone(&app), connection.clone());
    let key = blocking(move || connections.connections.key_of(&of)).await?;
    let pieces = app.models.ask(&connection, key, ask).await?;
    meter.begin();
    let head = Head::new(&asked.model)?;
    if asked.streams() {
        let passing = Passing { head, meter, wants_usage: asked.wants_usage(), watch, _seat: seat };
        Ok(passing.start(pieces))
    } else {
        let answer = at_once(&head, meter, pieces).await;
        drop(seat);
        answer
    }
}

/// What the model is asked, and by which connection: what the program says, or what a character's prompt makes of it.
async fn ask_of(call: &Call, asked: &mut Completion, named: Named) -> Result<(Connection, Ask)> {
    let Named { mut connection, model, character } = named;
    let parameters = asked.parameters(connection.kind)?.over(&connection.parameters);
    let messages = asked.messages()?;
    let Some(character) = character else { return Ok((connection, Ask { model, messages, parameters })) };
    let (app, account) = (Arc::clone(&call.state.app), Arc::clone(call.me()?));
    let (talk, handle) = (Arc::clone(&app.talk), account.handle.clone());
    talk.in_turn(&handle, move || {
        let ask = app.talk.house().sources.gather_question(Question {
            handle: &account.handle,
            account: &account.name,
            character: &character,
            said: messages,
            connection: &mut connection,
            model: &model,
            parameters,
        })?;
        Ok((connection, ask))
    })
    .await
}

/// The whole answer. A client that leaves ends this, and with it the model's work.
async fn at_once(head: &Head, mut meter: Meter, mut pieces: Pieces) -> Result<Reply> {
    let (mut text, mut reasoning, mut finish) = (String::new(), String::new(), None);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        meter.see(&piece);
        match piece {
            Piece::Text(more) => text.push_str(&more),
            Piece::Reasoning(more) => reasoning.push_str(&more),
            Piece::Usage(_) => {}
            Piece::End(how) => finish = Some(how),
        }
    }
    let finish = finish.ok_or_else(cut_off)?;
    let used = meter.settle().await?;
    Ok(reply::json(&head.whole(&text, &reasoning, finish, used)))
}

/// Who asked, to be looked at while the answer comes.
struct Watch {
    state: Arc<State>,
    key: String,
}

impl Watch {
    fn of(call: &Call) -> Self {
        let key = gate::bearer(&call.headers).unwrap_or_default().to_owned();
        Self { state: Arc::clone(&call.state), key }
    }

    /// Whether the key is still good. A disk that cannot tell right now is no reason to break off.
    fn still_may(&self) -> bool {
        self.state.app.accounts.by_key(&self.key).map_or(true, |account| account.is_some())
    }
}

/// An answer on its way to the client.
struct Passing {
    head: Head,
    meter: Meter,
    wants_usage: bool,
    watch: Watch,
    /// Given up when the answer is over.
    _seat: Admitted<Talking>,
}

impl Passing {
    /// Starts to pass pieces on, and answers with the stream of them.
    fn start(self, pieces: Pieces) -> Reply {
        let (to, from) = channel::<Bytes>(WAITING);
        tokio::spawn(self.run(pieces, to));
        let body = stream::unfold(from, |mut from| async move {
            from.recv().await.map(|bytes| (Ok::<_, Infallible>(bytes), from))
        });
        sse::answer(body)
    }

    /// Passes pieces on until the answer ends, the client leaves, or whoever asked may do so no more. Dropping the pieces
    /// stops the model, dropping the meter writes down what was used.
    async fn run(mut self, mut pieces: Pieces, to: Sender<Bytes>) {
        let end = match self.pass(&mut pieces, &to).await {
            Ok(end) => end,
            Err(Stop::Gone) => return,
            Err(Stop::Failed(error)) => {
                let _ = send(&to, sse::unnamed(answer::error(&error))).await;
                return;
            }
        };
        drop(pieces);
        let _ = self.say_end(end, &to).await;
    }

    async fn pass(&mut self, pieces: &mut Pieces, to: &Sender<Bytes>) -> Result<Finish, Stop> {
        send(to, sse::unnamed(self.head.piece(json!({ "role": "assistant", "content": "" }), None))).await?;
        let mut looks = Looks::start();
        let mut end = None;
        loop {
            tokio::select! {
                piece = pieces.next() => {
                    let Some(piece) = piece else { return end.ok_or_else(|| Stop::Failed(cut_off())) };
                    let piece = piece.map_err(Stop::Failed)?;
                    self.meter.see(&piece);
                    let delta = match piece {
                        Piece::Text(text) => json!({ "content": text }),
                        Piece::Reasoning(text) => json!({ "reasoning_content": text }),
                        Piece::Usage(_) => continue,
                        Piece::End(how) => {
                            end = Some(how);
                            continue;
                        }
                    };
                    looks.said_something();
                    send(to, sse::unnamed(self.head.piece(delta, None))).await?;
                }
                () = to.closed() => return Err(Stop::Gone),
                quiet = looks.next() => {
                    if !self.watch.still_may() {
                        return Err(Stop::Failed(ended_key()));
                    }
                    if quiet {
                        send(to, sse::still_here()).await?;
                    }
                }
            }
        }
    }

    async fn say_end(self, finish: Finish, to: &Sender<Bytes>) -> Result<(), Stop> {
        send(to, sse::unnamed(self.head.piece(json!({}), Some(finish)))).await?;
        let used = self.meter.settle().await;
        if self.wants_usage {
            send(to, sse::unnamed(self.head.usage(used.unwrap_or_default()))).await?;
        }
        send(to, sse::unnamed("[DONE]")).await
    }
}

/// Why an answer was not passed on to its end.
enum Stop {
    /// The client is gone.
    Gone,
    /// The client is told.
    Failed(Error),
}

async fn send(to: &Sender<Bytes>, bytes: Bytes) -> Result<(), Stop> {
    match timeout(STALLED, to.send(bytes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Stop::Gone),
    }
}

fn cut_off() -> Error {
    Error::new(Kind::Upstream, "model_cut", "The model's answer ended in the middle. What came is all that there is.")
}

fn ended_key() -> Error {
    Error::new(Kind::NotSignedIn, "invalid_api_key", "The API key has ended meanwhile, and with it this answer.")
}
