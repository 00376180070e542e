//! The commands. Each opens the house in its own way; `serve` is the usual one.

mod archive;
mod inspect;
mod options;
mod recover;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use options::Common;

/// A home for everyone's chats: one small server, every word in plain files.
#[derive(Debug, Parser)]
#[command(name = "tavernkeep", version, about)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    serve: serve::Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Open the house (what happens without a command, too)
    Serve(serve::Options),
    /// Let somebody in again: enable the account and set its password. Works while the server runs
    Recover(recover::Options),
    /// Write a backup of a user's folder, or of everyone's
    Backup(archive::BackupArgs),
    /// Bring a backup back, or see what that would do
    Restore(archive::RestoreArgs),
    /// Folders of deleted accounts, kept for a while
    Trash {
        #[command(subcommand)]
        what: TrashCommand,
    },
    /// The audit log
    Events {
        #[command(subcommand)]
        what: EventsCommand,
    },
    /// Print every setting with its value and where it comes from
    Config {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print every route with who may call it
    Routes,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// Check that no entry was edited, cut or moved
    Verify,
}

#[derive(Debug, Subcommand)]
enum TrashCommand {
    /// What is there
    List,
    /// Bring the folder of a deleted account back; whoever gets an account of that handle finds it
    Restore {
        /// The account's handle
        account: String,
    },
}

/// Runs the program; the exit code is 1 when something failed.
pub fn main() -> ExitCode {
    let Cli { common, serve, command } = Cli::parse();
    let result = match command {
        None => serve::run(&common, serve),
        Some(Command::Serve(options)) => serve::run(&common, serve.or(options)),
        Some(Command::Recover(options)) => recover::run(&common, &options),
        Some(Command::Backup(options)) => archive::backup(&common, &options),
        Some(Command::Restore(options)) => archive::restore(&common, &options),
        Some(Command::Trash { what: TrashCommand::List }) => archive::list_trash(&common),
        Some(Command::Trash { what: TrashCommand::Restore { account } }) => archive::untrash(&common, &account),
        Some(Command::Events { what: EventsCommand::Verify }) => inspect::verify_events(&common),
        Some(Command::Config { json }) => inspect::config(&common, json),
        Some(Command::Routes) => inspect::routes(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A path that was given, if it is not empty.
fn given(path: &Option<PathBuf>) -> Option<PathBuf> {
    path.clone().filter(|path| !path.as_os_str().is_empty())
}
