//! `/api/settings/*`.

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::library::presets;
use crate::store::{Expect, Handle};

/// What the client loads at start. Names are SillyTavern's, which has three styles of them.
#[derive(Serialize)]
struct Everything {
    settings: String,
    koboldai_settings: Vec<String>,
    koboldai_setting_names: Vec<String>,
    world_names: Vec<String>,
    novelai_settings: Vec<String>,
    novelai_setting_names: Vec<String>,
    openai_settings: Vec<String>,
    openai_setting_names: Vec<String>,
    textgenerationwebui_presets: Vec<String>,
    textgenerationwebui_preset_names: Vec<String>,
    themes: Vec<Box<RawValue>>,
    #[serde(rename = "movingUIPresets")]
    moving_ui_presets: Vec<Box<RawValue>>,
    #[serde(rename = "quickReplyPresets")]
    quick_reply_presets: Vec<Box<RawValue>>,
    instruct: Vec<Box<RawValue>>,
    context: Vec<Box<RawValue>>,
    sysprompt: Vec<Box<RawValue>>,
    reasoning: Vec<Box<RawValue>>,
    enable_extensions: bool,
    enable_extensions_auto_update: bool,
    enable_accounts: bool,
    request_compression: serde_json::Value,
}

/// `POST /api/settings/get`.
pub async fn get(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        let (store, config) = (&state.app.store, &state.app.config);
        let named = |folder| presets::by_name(store, &handle, folder);
        let values = |folder| presets::values(store, &handle, folder);
        let (kobold, novel) = (named("KoboldAI Settings")?, named("NovelAI Settings")?);
        let (openai, textgen) = (named("OpenAI Settings")?, named("TextGen Settings")?);
        let compression = &config.performance.request_compression;
        let text = String::from_utf8(state.app.settings.load(&handle)?).map_err(Error::internal)?;
        Ok(reply::json(&Everything {
            settings: text,
            koboldai_settings: kobold.texts,
            koboldai_setting_names: kobold.names,
            world_names: presets::world_names(store, &handle)?,
            novelai_settings: novel.texts,
            novelai_setting_names: novel.names,
            openai_settings: openai.texts,
            openai_setting_names: openai.names,
            textgenerationwebui_presets: textgen.texts,
            textgenerationwebui_preset_names: textgen.names,
            themes: values("themes")?,
            moving_ui_presets: values("movingUI")?,
            quick_reply_presets: values("QuickReplies")?,
            instruct: values("instruct")?,
            context: values("context")?,
            sysprompt: values("sysprompt")?,
            reasoning: values("reasoning")?,
            enable_extensions: config.extensions.enabled,
            enable_extensions_auto_update: config.extensions.auto_update,
            enable_accounts: config.enable_user_accounts,
            request_compression: json!({
                "enabled": compression.enabled,
                "minPayloadSize": compression.min_payload_size.bytes(),
                "maxPayloadSize": compression.max_payload_size.bytes(),
                "timeout": compression.timeout,
            }),
        }))
    })
    .await
}

/// `POST /api/settings/save`: the whole settings, as they stand in the body.
pub async fn save(mut call: Call) -> Result<Reply> {
    let text = call.json_bytes().await?;
    if text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).eq(*b"{}") {
        // What a request without a JSON body counts as. It would wipe everything that the client remembers.
        return Err(Error::invalid("bad_request", "There are no settings in this request. Nothing was changed."));
    }
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        state.app.settings.save(&handle, &text, Expect::Anything)?;
        state.app.portraits.forget(&handle);
        Ok(reply::json_text(r#"{"result":"ok"}"#))
    })
    .await
}

/// `POST /api/settings/get-snapshots`.
pub async fn get_snapshots(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        let list: Vec<_> = state
            .app
            .settings
            .snapshots(&handle)?
            .into_iter()
            .map(|snapshot| {
                let since = snapshot.stat.changed.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                json!({ "date": since.as_secs_f64() * 1000.0, "name": snapshot.name.as_str(), "size": snapshot.stat.size })
            })
            .collect();
        Ok(reply::json(&list))
    })
    .await
}

/// `POST /api/settings/make-snapshot`.
pub async fn make_snapshot(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        state.app.settings.snapshot(&handle)?;
        Ok(reply::nothing())
    })
    .await
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

/// `POST /api/settings/load-snapshot`: the snapshot's text.
pub async fn load_snapshot(call: Call) -> Result<Reply> {
    let (call, handle, name) = named(call).await?;
    blocking(move || Ok(reply::express_string(call.app.settings.read_snapshot(&handle, &name)?))).await
}

/// `POST /api/settings/restore-snapshot`.
pub async fn restore_snapshot(call: Call) -> Result<Reply> {
    let origin = call.origin();
    let (state, handle, name) = named(call).await?;
    blocking(move || {
        state.app.restore_snapshot(&handle, &name, &origin)?;
        Ok(reply::nothing())
    })
    .await
}

async fn named(mut call: Call) -> Result<(std::sync::Arc<crate::http::State>, Handle, String)> {
    let Named { name } = call.json().await?;
    Ok((call.state.clone(), call.me()?.handle.clone(), name.unwrap_or_default()))
}
