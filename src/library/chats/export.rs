//! Chats to take away: the file as it is, or to be read by people.

use std::io::{self, Write};

use time::OffsetDateTime;
use time::macros::format_description;

use super::reading::{Content, Line};
use super::{ChatRef, Chats};
use crate::clock;
use crate::error::{Error, Result};
use crate::store::Handle;

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// SillyTavern's: the file, byte for byte.
    Jsonl,
    /// With names, dates and headings.
    Markdown,
    /// Who said what, as SillyTavern exports it.
    Text,
}

impl Format {
    /// Takes the word for a form.
    pub fn parse(word: &str) -> Result<Self> {
        match word {
            "jsonl" => Ok(Self::Jsonl),
            "markdown" => Ok(Self::Markdown),
            "text" => Ok(Self::Text),
            _ => Err(Error::invalid("bad_request", "The format is jsonl, markdown or text.")),
        }
    }

    /// What files of it end with, and their type.
    pub fn ending(self) -> (&'static str, &'static str) {
        match self {
            Self::Jsonl => (".jsonl", "application/jsonl; charset=utf-8"),
            Self::Markdown => (".md", "text/markdown; charset=utf-8"),
            Self::Text => (".txt", "text/plain; charset=utf-8"),
        }
    }
}

impl Chats {
    /// Writes a chat to `out`. Lines that cannot be read are in it, too.
    pub fn export(&self, handle: &Handle, chat: &ChatRef, format: Format, out: &mut dyn Write) -> Result<()> {
        match format {
            Format::Jsonl => {
                let mut written = Ok(());
                self.look(handle, chat)?.file.scan(|piece| {
                    if written.is_ok() {
                        written = out.write_all(piece);
                    }
                })?;
                written.map_err(cut_off)?;
            }
            Format::Markdown => {
                writeln!(out, "# {}\n", one_line(chat.chat.as_str())).map_err(cut_off)?;
                self.each(handle, chat, 0, |line| markdown(&line, out).map_err(cut_off))?;
            }
            Format::Text => {
                self.each(handle, chat, 0, |line| text(&line, out).map_err(cut_off))?;
            }
        }
        out.flush().map_err(cut_off)
    }
}

fn markdown(line: &Line, out: &mut dyn Write) -> io::Result<()> {
    let message = match &line.content {
        Content::Message(message) => message,
        Content::Damaged(raw) => return writeln!(out, "*A damaged line:*\n\n    {}\n", raw.replace('\n', "\n    ")),
    };
    write!(out, "**{}**", escaped(message.name()))?;
    if let Some(at) = message.sent_at() {
        write!(out, " · {}", date(at))?;
    }
    if message.is_system() {
        write!(out, " · hidden")?;
    }
    writeln!(out, "\n\n{}\n", message.text().trim_end())
}

/// Hidden messages are left out, as SillyTavern does; what is damaged is not.
fn text(line: &Line, out: &mut dyn Write) -> io::Result<()> {
    match &line.content {
        Content::Message(message) if message.is_system() => Ok(()),
        Content::Message(message) => write!(out, "{}: {}\n\n", message.name(), message.text()),
        Content::Damaged(raw) => write!(out, "[damaged line] {raw}\n\n"),
    }
}

/// On the server's wall.
fn date(ms: i64) -> String {
    let at =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    clock::local(at.into()).format(format).unwrap_or_default()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn escaped(name: &str) -> String {
    one_line(name).chars().fold(String::new(), |mut out, c| {
        if matches!(c, '*' | '_' | '\\' | '`' | '[' | ']' | '<' | '>') {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

fn cut_off(error: io::Error) -> Error {
    Error::conflict("cut_off", "The download was broken off.").because(error)
}
