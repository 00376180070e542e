//! `tavernkeep recover`: whoever runs the host lets somebody in again.

use std::io::{BufRead, IsTerminal};

use anyhow::{Context, Result};
use clap::Args;

use super::Common;
use crate::accounts::Password;
use crate::store::Handle;

/// Whom, and with which password.
#[derive(Debug, Args)]
pub struct Options {
    /// The account's handle
    account: String,
    /// The new password; `-` asks for it without showing it; none removes the password
    password: Option<String>,
}

/// Enables the account, sets its password, ends its sessions: at once, also while the server runs.
pub fn run(common: &Common, options: &Options) -> Result<()> {
    let app = common.open_beside()?;
    let not_found = || anyhow::anyhow!("User \"{}\" not found.", options.account);
    let handle = Handle::parse(options.account.trim()).map_err(|_| not_found())?;
    if app.accounts.listing()?.get(&handle).is_none() {
        return Err(not_found());
    }
    let typed = match options.password.as_deref() {
        Some("-") => ask()?,
        Some(password) => password.to_owned(),
        None => String::new(),
    };
    let password = Password::optional(&typed)?;
    let account = app.accounts.recover_by_host(&handle, password.as_ref())?;
    println!("{} ({handle}) can sign in again; all earlier sessions have ended.", account.name);
    if account.password.is_none() {
        eprintln!(
            "Warning: the account has NO password now. Anyone who can reach the server can enter it. Set one on the \
             account page, or by: tavernkeep recover {handle} -"
        );
    }
    Ok(())
}

fn ask() -> Result<String> {
    if std::io::stdin().is_terminal() {
        let first = rpassword::prompt_password("New password: ").context("Could not read the password")?;
        let second = rpassword::prompt_password("Once more: ").context("Could not read the password")?;
        anyhow::ensure!(first == second, "The two passwords differ. Nothing was changed.");
        return Ok(first);
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("Could not read the password")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
