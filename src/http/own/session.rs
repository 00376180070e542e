//! Signing in and out, and recovery.

use serde::Deserialize;
use serde_json::json;

use super::views;
use crate::blocking::blocking;
use crate::error::Result;
use crate::http::call::{Call, Person};
use crate::http::pages;
use crate::http::reply::{self, Reply};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    handle: String,
    password: String,
}

/// `POST /api/v1/session`.
pub async fn create(mut call: Call) -> Result<Reply> {
    let SignIn { handle, password } = call.json().await?;
    let signed_in = call.state.app.accounts.sign_in(&handle, &password, &call.visitor()).await?;
    let person = Person { account: signed_in.account.clone(), session: Some(signed_in.session.clone()) };
    let state = call.state.clone();
    let me = blocking(move || views::me(&state, &person)).await?;
    let mut answer = reply::json(&json!({ "me": me }));
    pages::set_session(&call, &signed_in, &mut answer);
    Ok(answer)
}

/// `DELETE /api/v1/session`.
pub async fn end(call: Call) -> Result<Reply> {
    crate::http::tavern::users::logout(call).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    handle: String,
}

/// `POST /api/v1/recovery`: a code on the console.
pub async fn ask_for_code(mut call: Call) -> Result<Reply> {
    let Ask { handle } = call.json().await?;
    call.state.app.accounts.request_recovery(&handle, &call.visitor()).await?;
    Ok(reply::nothing())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Redeem {
    handle: String,
    code: String,
    new_password: String,
}

/// `POST /api/v1/recovery/redeem`: a new password for whoever has the code.
pub async fn redeem(mut call: Call) -> Result<Reply> {
    let Redeem { handle, code, new_password } = call.json().await?;
    call.state.app.accounts.redeem_recovery(&handle, &code, &new_password, &call.visitor()).await?;
    Ok(reply::nothing())
}
