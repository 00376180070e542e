//! `GET /api/v1/house`: what a page asks first.

use serde_json::{Value, json};

use super::views::{self, Face};
use crate::blocking::blocking;
use crate::error::Result;
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::http::{csrf, pages};

/// `GET /api/v1/house`.
pub async fn get(call: Call) -> Result<Reply> {
    let (secret, cookie) = pages::csrf_secret(&call)?;
    let token =
        if call.state.app.config.disable_csrf_protection { "disabled".to_owned() } else { csrf::token(&secret) };
    let (state, person) = (call.state.clone(), call.person.clone());
    let body = blocking(move || {
        let rules = state.app.accounts.rules();
        let login = match (rules.accounts, rules.discreet) {
            (false, _) => "none",
            (true, true) => "discreet",
            (true, false) => "picker",
        };
        let mut body = json!({
            "name": state.app.config.house.name,
            "version": env!("CARGO_PKG_VERSION"),
            "csrfToken": token,
            "accounts": rules.accounts,
            "login": login,
            "recoveryCodeLength": rules.code_length,
            "trashDays": state.app.config.trash.days,
            "undoDays": state.app.config.backups.undo_days,
            "me": match &person {
                Some(person) => views::me(&state, person)?,
                None => Value::Null,
            },
        });
        if login == "picker" && person.is_none() {
            let active = state.app.accounts.listing()?.active();
            let faces: Result<Vec<Face>> = active.iter().map(|account| Face::of(&state, account)).collect();
            body["people"] = serde_json::to_value(faces?).map_err(crate::error::Error::internal)?;
        }
        Ok(body)
    })
    .await?;
    let mut answer = reply::json(&body);
    if let Some(cookie) = cookie {
        reply::add_cookie(&mut answer, &cookie);
    }
    if let Some(person) = &call.person {
        pages::renew(&call, person, &mut answer);
    }
    Ok(answer)
}
