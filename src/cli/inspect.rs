//! Commands that only look: `config`, `routes`, `events verify`.

use anyhow::Result;

use super::Common;
use crate::config::{self, Overrides};
use crate::http::routes;
use crate::http::table::Who;

/// `tavernkeep config`.
pub fn config(common: &Common, json: bool) -> Result<()> {
    let loaded = common.load(Overrides::default())?;
    for warning in &loaded.warnings {
        eprintln!("{warning}");
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&config::explain_json(&loaded))?);
    } else {
        print!("{}", config::explain(&loaded));
    }
    Ok(())
}

/// `tavernkeep routes`.
pub fn routes() -> Result<()> {
    for route in routes::all() {
        let who = match route.who {
            Who::Public => "anyone".to_owned(),
            Who::SignedIn => "signed in".to_owned(),
            Who::May(permission) => permission.name().to_owned(),
        };
        println!("{:<7} {:<44} {:<16} {}", route.method, route.pattern, who, route.about);
    }
    Ok(())
}

/// `tavernkeep events verify`: exit code 1 when something is wrong.
pub fn verify_events(common: &Common) -> Result<()> {
    let report = common.open_beside()?.events.verify()?;
    println!("{} entries; head {}", report.lines, report.head.to_text().trim());
    match report.first_fault {
        None => {
            println!("The log is whole.");
            Ok(())
        }
        Some(fault) => Err(anyhow::anyhow!("The log was changed: {fault}.")),
    }
}
