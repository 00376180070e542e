//! Backups: a ticket, the download, and how far it is. SillyTavern's client asks for the download at once.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use warp::Reply as _;
use warp::http::{Method, header};

use super::users;
use crate::access::Permission;
use crate::blocking::blocking;
use crate::clock;
use crate::error::{Error, Result};
use crate::events::{Event, Origin, What};
use crate::http::call::Call;
use crate::http::pipe::{self, PieceWriter};
use crate::http::reply::{self, Reply};
use crate::http::state::State;
use crate::http::tickets::Ticket;
use crate::store::Handle;
use crate::store::archive::{BackupOptions, write_backup};
use crate::store::moment::Moment;

/// Between two looks at whether a download may go on.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    secrets: bool,
}

/// `POST /api/v1/me/backups`.
pub async fn create(mut call: Call) -> Result<Reply> {
    let Ask { secrets } = call.json().await?;
    let handle = call.me()?.handle.clone();
    give_ticket(call, handle, secrets).await
}

/// `POST /api/v1/users/{handle}/backups`.
pub async fn create_for(mut call: Call) -> Result<Reply> {
    let Ask { secrets } = call.json().await?;
    let account = users::known(&call.state, &call.handle()?)?;
    users::require_on(&call, Permission::BackupsOthers, &account)?;
    give_ticket(call, account.handle.clone(), secrets).await
}

async fn give_ticket(call: Call, of: Handle, secrets: bool) -> Result<Reply> {
    let ticket = ticket(&call, of, secrets).await?;
    let expected = ticket.report();
    Ok(reply::json(&json!({
        "id": ticket.id,
        "url": format!("/api/v1/me/backups/{}/download", ticket.id),
        "fileName": ticket.file_name,
        "files": expected.files(),
        "bytes": expected.bytes(),
    })))
}

/// A ticket for a backup of `of`, if backups are allowed here.
pub async fn ticket(call: &Call, of: Handle, secrets: bool) -> Result<Arc<Ticket>> {
    if !call.state.app.config.backups.allow_full_data_backup {
        return Err(Error::forbidden("backups_off", "Full data backup is disabled"));
    }
    let (state, owner) = (call.state.clone(), call.me()?.clone());
    blocking(move || {
        let options = BackupOptions { secrets };
        let expected = state.app.store.moment(&of)?.totals(options);
        let name = format!("{of}-{}.zip", clock::file_stamp());
        state.tickets.make(&owner, &of, options, expected, name)
    })
    .await
}

/// `GET /api/v1/me/backups/{id}/download`. A mere look at the headers does not use the ticket up.
pub async fn download(call: Call) -> Result<Reply> {
    let ticket = call.state.tickets.find(call.param("id"), &call.me()?.handle)?;
    if ticket.of != ticket.owner {
        let account = users::known(&call.state, &ticket.of)?;
        users::require_on(&call, Permission::BackupsOthers, &account)?;
    }
    if call.method == Method::HEAD {
        return Ok(as_download(Reply::default(), &ticket));
    }
    start(&call.state, &ticket, call.origin()).await
}

/// `GET /api/v1/me/backups/{id}`.
pub async fn progress(call: Call) -> Result<Reply> {
    let ticket = call.state.tickets.find(call.param("id"), &call.me()?.handle)?;
    Ok(reply::json(&ticket.report()))
}

/// Starts the download of a ticket: the moment is taken now, and a thread of its own writes the archive as fast as the
/// client takes it.
pub async fn start(state: &Arc<State>, ticket: &Arc<Ticket>, origin: Origin) -> Result<Reply> {
    let running = state.tickets.start(ticket)?;
    let (taking, of) = (state.clone(), ticket.of.clone());
    // The thread owns the running ticket, so that it ends even if the client goes away right now.
    let (moment, running) = blocking(move || Ok((taking.app.store.moment(&of)?, running))).await?;
    let (writer, pieces) = pipe::open();
    let state = state.clone();
    tokio::task::spawn_blocking(move || {
        let ticket = Arc::clone(running.ticket());
        let result = write_all(&state, &moment, &ticket, writer);
        running.end(&result);
        let outcome = match &result {
            Ok(()) => "whole",
            Err(error) => {
                tracing::info!(?error, of = %ticket.of, "a backup was not finished");
                "broken off"
            }
        };
        let event = Event::new(What::BackupTaken, &origin).to(&ticket.of);
        state.app.events.record(event.with("secrets", ticket.options.secrets).with("outcome", outcome));
    });
    Ok(as_download(warp::reply::stream(pieces).into_response(), ticket))
}

fn as_download(mut answer: Reply, ticket: &Ticket) -> Reply {
    reply::set(&mut answer, header::CONTENT_TYPE, "application/zip");
    // SillyTavern's client reads the name from behind the first `=`.
    let disposition = format!("attachment; filename=\"{}\"", ticket.file_name);
    reply::set(&mut answer, header::CONTENT_DISPOSITION, &disposition);
    answer
}

fn write_all(state: &State, moment: &Moment, ticket: &Ticket, writer: PieceWriter) -> Result<()> {
    let mut writer = Watched { writer, state, ticket, looked: Instant::now() };
    let written = write_backup(moment, ticket.options, &mut writer, &ticket.progress).and_then(|_| {
        writer.flush().map_err(|error| Error::conflict("cut_off", "The download was broken off.").because(error))
    });
    if let Err(error) = &written {
        writer.writer.fail(io::Error::other(error.message().to_owned()));
    }
    written
}

/// Looks once a second whether whoever downloads may still do so.
struct Watched<'a> {
    writer: PieceWriter,
    state: &'a State,
    ticket: &'a Ticket,
    looked: Instant,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            if !self.state.is_still(&self.ticket.owner, &self.ticket.epoch) {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "whoever downloads is signed in no more"));
            }
        }
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
