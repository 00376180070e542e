//! The server's console, where codes are printed: whoever can read it runs the house.
//!
//! A console may stand still: a terminal with a selection, a pipe that nobody reads. Requests must not stand still with
//! it, so one thread prints, behind a short queue.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::error::{Error, Result};

/// Lines that wait for the console.
const QUEUE: usize = 32;

/// The printing thread. It ends when this is dropped.
pub struct Console {
    queue: SyncSender<String>,
}

impl Console {
    /// Starts the thread.
    pub fn start() -> Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        std::thread::Builder::new().name("console".to_owned()).spawn(move || print(&lines)).map_err(Error::internal)?;
        Ok(Self { queue })
    }

    /// Says something to whoever runs the house: on standard output, never in a log file.
    pub fn say(&self, line: String) {
        if self.queue.try_send(line).is_err() {
            tracing::warn!(
                "the console stands still: a code could not be printed; scripts/recover.sh works without one"
            );
        }
    }
}

fn print(lines: &Receiver<String>) {
    for line in lines {
        let mut out = std::io::stdout().lock();
        if let Err(error) = writeln!(out, "\n{line}\n").and_then(|()| out.flush()) {
            tracing::warn!(%error, "a code could not be printed on the console; scripts/recover.sh works without one");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_that_stands_still_holds_nobody_up() {
        let (queue, _nobody_reads) = sync_channel(QUEUE);
        let console = Console { queue };
        for _ in 0..QUEUE * 2 {
            console.say("Ada, your password recovery code is: 1234".to_owned());
        }
    }
}
