//! What a connection is asked to be, and whether it can be that.

use serde::{Deserialize, Deserializer};

use crate::error::{Error, Result};
use crate::models::ask::Parameters;
use crate::models::{Key, Kind, presets};

const NAME_MAX: usize = 100;
const MODEL_MAX: usize = 300;
pub(super) const URL_MAX: usize = 2000;
const TEMPLATE_MAX: usize = 32 * 1024;

/// A connection that is to be made.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Draft {
    /// What people call it.
    pub name: String,
    /// The dialect.
    pub kind: Kind,
    /// Where the server is; left out, where such servers usually are.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The model that is asked unless a request names another.
    #[serde(default)]
    pub model: Option<String>,
    /// How it is asked unless a request says otherwise.
    #[serde(default)]
    pub parameters: Parameters,
    /// The instruct template, for plain text completion.
    #[serde(default)]
    pub template: Option<String>,
}

/// What is to be changed about a connection. What is `None` stays; `Some(None)` is removed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Changes {
    /// What people call it.
    pub name: Option<String>,
    /// The dialect.
    pub kind: Option<Kind>,
    /// Where the server is.
    pub base_url: Option<String>,
    /// The model that is asked unless a request names another.
    #[serde(deserialize_with = "given")]
    pub model: Option<Option<String>>,
    /// How it is asked unless a request says otherwise.
    pub parameters: Option<Parameters>,
    /// The instruct template.
    #[serde(deserialize_with = "given")]
    pub template: Option<Option<String>>,
    /// The key.
    #[serde(deserialize_with = "given_key")]
    pub key: Option<Option<Key>>,
}

/// Tells `null` from a field that is not there.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(value).map(Some)
}

/// A key from a request. The error never repeats what was typed.
pub fn given_key<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<Key>>, D::Error> {
    let text = Option::<String>::deserialize(value).map_err(|_| serde::de::Error::custom("`key` has to be a text"))?;
    match text.as_deref().map(str::trim) {
        None | Some("") => Ok(Some(None)),
        Some(text) => Key::parse(text).map(|key| Some(Some(key))).map_err(serde::de::Error::custom),
    }
}

pub(super) fn check_name(name: &str) -> Result<String> {
    let name = name.trim();
    let fits = !name.is_empty() && name.chars().count() <= NAME_MAX && !name.chars().any(char::is_control);
    if fits {
        Ok(name.to_owned())
    } else {
        Err(Error::invalid("bad_name", format!("A connection's name has 1 to {NAME_MAX} letters, on one line.")))
    }
}

pub(super) fn check_model(model: Option<String>) -> Result<Option<String>> {
    let model = model.map(|model| model.trim().to_owned()).filter(|model| !model.is_empty());
    if model.as_ref().is_some_and(|model| model.len() > MODEL_MAX || model.chars().any(char::is_control)) {
        return Err(Error::invalid("bad_model", format!("A model's name has at most {MODEL_MAX} bytes, on one line.")));
    }
    Ok(model)
}

pub(super) fn check_template(template: Option<String>) -> Result<Option<String>> {
    let template = template.filter(|template| !template.trim().is_empty());
    if template.as_ref().is_some_and(|template| template.len() > TEMPLATE_MAX) {
        return Err(Error::invalid("bad_template", "An instruct template has at most 32 KiB."));
    }
    Ok(template)
}

/// An address that can be asked, in one form. Whether it *may* be asked is decided on the way out.
pub(super) fn check_address(kind: Kind, address: Option<&str>) -> Result<String> {
    if kind == Kind::Echo {
        return Ok(String::new());
    }
    let address = address.map(str::trim).filter(|address| !address.is_empty()).or_else(|| presets::usual_address(kind));
    let bad = |why: &str| Error::invalid("bad_address", format!("This is no server's address: {why}."));
    let address = address.ok_or_else(|| bad("it is missing"))?;
    if address.len() > URL_MAX {
        return Err(bad("it is too long"));
    }
    let url = reqwest::Url::parse(address).map_err(|_| bad("it has to look like http://127.0.0.1:11434"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it has to begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("names and passwords do not belong into it; a key has its own field"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it ends before any ? or #"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Which server an address is of: scheme, host and port; none of nowhere.
pub(super) fn origin(address: &str) -> Option<String> {
    reqwest::Url::parse(address).ok().map(|url| url.origin().ascii_serialization())
}
