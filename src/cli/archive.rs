//! `tavernkeep backup`, `restore` and `trash`. All work while the server runs.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::Common;
use crate::app::App;
use crate::clock;
use crate::events::{Event, Origin, What};
use crate::store::archive::{BackupOptions, Limits, Part, Plan, Progress, Written};
use crate::store::{Handle, HostFile, open_host_file};

/// Whose backup goes where.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The account's handle
    #[arg(required_unless_present = "all")]
    account: Option<String>,
    /// Everyone's, one file each
    #[arg(long, conflicts_with = "account")]
    all: bool,
    /// A file, a folder that is there, or `-` for standard output [default: HANDLE-TIME.zip here]
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Put the keys of model providers in, too
    #[arg(long)]
    secrets: bool,
}

/// Writes backups. While one is written, its owner's saves wait.
pub fn backup(common: &Common, args: &BackupArgs) -> Result<()> {
    let app = common.open_beside()?;
    let handles: Vec<Handle> = match &args.account {
        Some(account) => vec![known(&app, account)?],
        None => app.accounts.listing()?.by_age().iter().map(|account| account.handle.clone()).collect(),
    };
    let to_stdout = args.output.as_deref() == Some(Path::new("-"));
    anyhow::ensure!(!(to_stdout && args.all), "Everyone's backups do not fit into one output. Name a folder.");
    anyhow::ensure!(
        !(to_stdout && std::io::stdout().is_terminal()),
        "This would write a zip file to the terminal. Send it to a file or a program."
    );
    if to_stdout {
        let backup = |handle| write_one(&app, handle, args, std::io::stdout().lock()).map(|_| tell(&app, handle, args));
        return handles.iter().try_for_each(backup).context("The backup is NOT whole; do not keep it");
    }
    let mut failed = Vec::new();
    for handle in &handles {
        if let Err(error) = to_file(&app, handle, args) {
            // One whose folder is busy or damaged is no reason to leave the others without a backup.
            if !args.all {
                return Err(error);
            }
            eprintln!("{handle}: {error:#}");
            failed.push(handle.as_str());
        }
    }
    anyhow::ensure!(failed.is_empty(), "There is NO backup of: {}. All others are written.", failed.join(", "));
    Ok(())
}

fn to_file(app: &App, handle: &Handle, args: &BackupArgs) -> Result<()> {
    let name = format!("{handle}-{}.zip", clock::file_stamp());
    let path = match &args.output {
        Some(path) if path.is_dir() || args.all => path.join(&name),
        Some(path) => path.clone(),
        None => PathBuf::from(&name),
    };
    let mut file = HostFile::create(&path).with_context(|| format!("Could not write {}", path.display()))?;
    let written = write_one(app, handle, args, &mut file)?;
    file.keep().with_context(|| format!("Could not write {}", path.display()))?;
    tell(app, handle, args);
    println!("{handle}: {} files, {} bytes -> {}", written.files, written.bytes, path.display());
    Ok(())
}

fn write_one(app: &App, handle: &Handle, args: &BackupArgs, mut out: impl Write) -> Result<Written> {
    let options = BackupOptions { secrets: args.secrets };
    let written = app.store.backup_locked(handle, options, &mut out, &Progress::default())?;
    out.flush().context("Could not write the end of the backup")?;
    Ok(written)
}

/// Notes a backup that is where it is to be.
fn tell(app: &App, handle: &Handle, args: &BackupArgs) {
    let event = Event::new(What::BackupTaken, &Origin::default()).to(handle);
    app.events.record(event.with("secrets", args.secrets).with("outcome", "whole"));
}

/// What is brought back to whom.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The account's handle
    account: String,
    /// The zip: a backup of ours, or of SillyTavern
    file: PathBuf,
    /// Only these parts, with commas between (settings,characters,chats,…) [default: all that are in it]
    #[arg(long, value_delimiter = ',')]
    parts: Vec<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Brings a backup back, after saying what that does.
pub fn restore(common: &Common, args: &RestoreArgs) -> Result<()> {
    let app = common.open_beside()?;
    let handle = known(&app, &args.account)?;
    let file = open_host_file(&args.file).with_context(|| format!("Could not read {}", args.file.display()))?;
    let limits = Limits { max_bytes: app.config.backups.max_restore_bytes.bytes() };
    let prepared = app.store.prepare_restore(&handle, file, &limits, &Progress::default())?;
    let parts = match choose(&prepared.plan, &args.parts) {
        Ok(parts) => parts,
        Err(error) => {
            app.store.discard_restore(&handle, &prepared.id)?;
            return Err(error);
        }
    };
    explain(&prepared.plan, &parts);
    let goes_ahead = if args.dry_run {
        Ok(false)
    } else if args.yes {
        Ok(true)
    } else {
        agreed()
    };
    if !matches!(goes_ahead, Ok(true)) {
        app.store.discard_restore(&handle, &prepared.id)?;
        goes_ahead?;
        println!("Nothing was changed.");
        return Ok(());
    }
    let undo = app.apply_restore(&handle, &prepared.id, &parts, &Origin::default())?;
    println!("Done. What was there before is kept as undo point {} (on the account page).", undo.as_str());
    Ok(())
}

fn choose(plan: &Plan, wanted: &[String]) -> Result<Vec<Part>> {
    if wanted.is_empty() {
        return Ok(plan.parts.iter().map(|planned| planned.part).collect());
    }
    Ok(wanted.iter().map(|part| Part::parse(part.trim())).collect::<crate::error::Result<_>>()?)
}

fn explain(plan: &Plan, parts: &[Part]) {
    let checked = if plan.verified { "every file matches its checksum" } else { "no checksums in it" };
    println!("{} files, {} bytes; {checked}.", plan.files, plan.bytes);
    for planned in &plan.parts {
        let mark = if parts.contains(&planned.part) { "*" } else { " " };
        println!(
            "{mark} {:<12} adds {}, replaces {}, removes {}, leaves {}",
            planned.part.id(),
            planned.add,
            planned.replace,
            planned.remove,
            planned.same
        );
    }
}

fn agreed() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        anyhow::bail!("Nobody is there to ask; say --yes to go ahead, or --dry-run.");
    }
    print!("Bring the parts marked * back? What is there now is kept as an undo point. [y/N] ");
    std::io::stdout().flush().context("Could not ask")?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("Could not read the answer")?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// Lists the folders of deleted accounts.
pub fn list_trash(common: &Common) -> Result<()> {
    let app = common.open_beside()?;
    let trash = app.store.list_trash()?;
    for trashed in &trash {
        println!("{:<24} deleted {}  {} bytes", trashed.handle, clock::rfc3339(trashed.date), trashed.bytes);
    }
    println!("{} folders; each is kept for {} days.", trash.len(), app.config.backups.undo_days);
    Ok(())
}

/// Brings the folder of a deleted account back.
pub fn untrash(common: &Common, account: &str) -> Result<()> {
    let app = common.open_beside()?;
    let handle = Handle::parse(account)?;
    app.store.untrash(&handle)?;
    app.events.record(Event::new(What::Undone, &Origin::default()).to(&handle).with("what", "folder from the trash"));
    println!("The folder of {handle} is back. Make an account with that handle on the users page, and it is theirs.");
    Ok(())
}

fn known(app: &App, account: &str) -> Result<Handle> {
    let not_found = || anyhow::anyhow!("User \"{account}\" not found.");
    let handle = Handle::parse(account).map_err(|_| not_found())?;
    app.accounts.listing()?.get(&handle).ok_or_else(not_found)?;
    Ok(handle)
}
