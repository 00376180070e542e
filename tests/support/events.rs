//! Somebody who follows Server-Sent Events over a real socket, event by event.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::{Guest, Request};

/// An event that arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub name: String,
    pub id: Option<u64>,
    pub data: Value,
}

/// A stream of events.
pub struct Events {
    pub status: u16,
    reader: BufReader<TcpStream>,
    /// What is left of the chunk that is being read.
    chunk: Vec<u8>,
    ended: bool,
}

impl Events {
    /// Begins to follow.
    pub fn follow(guest: &Guest, path: &str) -> Self {
        Self::ask(guest, Request::new("GET", path))
    }

    /// Comes back with the id that arrived last.
    pub fn resume(guest: &Guest, path: &str, last: u64) -> Self {
        Self::ask(guest, Request::new("GET", path).header("Last-Event-ID", &last.to_string()))
    }

    pub fn ask(guest: &Guest, request: Request) -> Self {
        let mut reader = BufReader::new(guest.begin(&request));
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
        }
        Self { status, reader, chunk: Vec::new(), ended: status != 200 }
    }

    /// Gives up waiting after so long.
    pub fn patience(self, patience: Duration) -> Self {
        self.reader.get_ref().set_read_timeout(Some(patience)).unwrap();
        self
    }

    /// The next event; none at the end of the stream.
    pub fn next(&mut self) -> Option<Event> {
        self.try_next().unwrap_or_else(|error| panic!("the stream broke: {error}"))
    }

    /// The next event, where the server may be gone.
    pub fn try_next(&mut self) -> io::Result<Option<Event>> {
        loop {
            if let Some(end) = self.chunk.windows(2).position(|two| two == b"\n\n") {
                let text: Vec<u8> = self.chunk.drain(..end + 2).collect();
                if let Some(event) = parse(&String::from_utf8_lossy(&text)) {
                    return Ok(Some(event));
                }
                continue;
            }
            if self.ended {
                return Ok(None);
            }
            self.read_chunk()?;
        }
    }

    /// The next event of this name.
    #[track_caller]
    pub fn until(&mut self, name: &str) -> Event {
        loop {
            match self.next() {
                Some(event) if event.name == name => return event,
                Some(_) => {}
                None => panic!("the stream ended before {name}"),
            }
        }
    }

    /// Everything to the end.
    pub fn rest(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.next()).collect()
    }

    fn read_chunk(&mut self) -> io::Result<()> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let mut bytes = vec![0; size + 2];
        self.reader.read_exact(&mut bytes)?;
        self.ended = size == 0;
        self.chunk.extend_from_slice(&bytes[..size]);
        Ok(())
    }
}

/// The words of all events of this name.
pub fn words_of(events: &[Event], name: &str) -> String {
    events.iter().filter(|event| event.name == name).filter_map(|event| event.data["text"].as_str()).collect()
}

fn parse(text: &str) -> Option<Event> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Some(Event {
        name: field("event")?.to_owned(),
        id: field("id").and_then(|id| id.parse().ok()),
        data: serde_json::from_str(field("data")?).unwrap(),
    })
}
