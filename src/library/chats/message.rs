//! One line of a chat, as SillyTavern writes it: a typed view of an object whose other fields stay what and where they are.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::dates;
use crate::clock;
use crate::error::{Error, Result};

/// Our own fields, where SillyTavern keeps those it does not know.
const OURS: &str = "tavernkeep";

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Message(Map<String, Value>);

/// One more way in which a message could go.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Swipe {
    /// Its words.
    pub text: String,
    /// When it was made, ISO 8601; now if not said.
    pub send_date: Option<String>,
    /// When the model began.
    pub gen_started: Option<String>,
    /// When the model was done.
    pub gen_finished: Option<String>,
    /// Whatever else belongs to it: `api`, `model`, `reasoning` …
    pub extra: Map<String, Value>,
}

/// A picture that a message shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Where it is, as the file says: a path such as `/user/images/Ada/1.png`, or an address elsewhere.
    pub url: String,
}

impl Message {
    /// A message that is sent now.
    pub fn new(name: &str, is_user: bool, text: &str) -> Self {
        let fields = json!({
            "name": name,
            "is_user": is_user,
            "is_system": false,
            "send_date": clock::rfc3339(clock::now_ms()),
            "mes": text,
            "extra": {},
        });
        match fields {
            Value::Object(fields) => Self(fields),
            _ => Self(Map::new()),
        }
    }

    /// Takes an object as it is.
    pub fn of(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// Reads a line. `None` if it is not an object in JSON.
    pub fn parse(line: &[u8]) -> Option<Self> {
        // A list would be read as an object's values in order.
        (line.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')).then_some(())?;
        serde_json::from_slice(line).ok().map(Self)
    }

    /// The line, without an end.
    pub fn to_line(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self.0).map_err(Error::internal)
    }

    /// All fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// All fields, to be changed.
    pub fn fields_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    fn text_of(&self, field: &str) -> Option<&str> {
        self.0.get(field)?.as_str()
    }

    fn is(&self, field: &str) -> bool {
        self.0.get(field).is_some_and(|value| value.as_bool().unwrap_or(value.as_i64() == Some(1)))
    }

    /// Who says it.
    pub fn name(&self) -> &str {
        self.text_of("name").unwrap_or_default()
    }

    /// Whether the person says it.
    pub fn is_user(&self) -> bool {
        self.is("is_user")
    }

    /// Whether it is hidden from the model.
    pub fn is_system(&self) -> bool {
        self.is("is_system")
    }

    /// What it says.
    pub fn text(&self) -> &str {
        match self.0.get("mes") {
            Some(Value::String(text)) => text,
            // As Chub exports them.
            Some(Value::Object(nested)) => nested.get("message").and_then(Value::as_str).unwrap_or_default(),
            _ => "",
        }
    }

    /// When it was sent, as the file says it.
    pub fn send_date(&self) -> Option<&str> {
        self.text_of("send_date")
    }

    /// When it was sent, in milliseconds since 1970, if that can be told.
    pub fn sent_at(&self) -> Option<i64> {
        self.0.get("send_date").and_then(dates::parse)
    }

    /// What else is known of it.
    pub fn extra(&self) -> Option<&Map<String, Value>> {
        self.0.get("extra")?.as_object()
    }

    /// The same, to be changed; made if need be.
    pub fn extra_mut(&mut self) -> &mut Map<String, Value> {
        object_in(&mut self.0, "extra")
    }

    /// What the model thought, if it did.
    pub fn reasoning(&self) -> Option<&str> {
        self.extra()?.get("reasoning")?.as_str().filter(|text| !text.is_empty())
    }

    /// Sets or removes what the model thought.
    pub fn set_reasoning(&mut self, text: &str) {
        self.extra_mut().insert("reasoning".to_owned(), text.into());
        self.sync_swipe();
    }

    /// One of our own fields.
    pub fn ours(&self, field: &str) -> Option<&Value> {
        self.extra()?.get(OURS)?.get(field)
    }

    /// Sets one of our own fields, or removes it.
    pub fn set_ours(&mut self, field: &str, value: Option<Value>) {
        let extra = self.extra_mut();
        let ours = object_in(extra, OURS);
        match value {
            Some(value) => drop(ours.insert(field.to_owned(), value)),
            None => drop(ours.shift_remove(field)),
        }
        if ours.is_empty() {
            extra.shift_remove(OURS);
        }
    }

    /// The id by which whoever sent it knows it, so that sending it again changes nothing.
    pub fn id(&self) -> Option<&str> {
        self.ours("id")?.as_str()
    }

    /// With that id.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.set_ours("id", Some(id.into()));
        self
    }

    /// Whether the model was cut off before its end.
    pub fn is_unfinished(&self) -> bool {
        self.ours("unfinished").and_then(Value::as_bool).unwrap_or(false)
    }

    /// Marks it as cut off, or not.
    pub fn set_unfinished(&mut self, unfinished: bool) {
        self.set_ours("unfinished", unfinished.then_some(Value::Bool(true)));
        self.sync_swipe();
    }

    /// Says something else. The swipe that is shown says it too.
    pub fn set_text(&mut self, text: &str) {
        self.0.insert("mes".to_owned(), text.into());
        if let Some(Value::Object(extra)) = self.0.get_mut("extra") {
            // Of the words before.
            extra.shift_remove("display_text");
            extra.shift_remove("token_count");
        }
        self.sync_swipe();
    }

    /// Hides it from the model, or shows it again.
    pub fn set_hidden(&mut self, hidden: bool) {
        self.0.insert("is_system".to_owned(), hidden.into());
    }

    /// The pictures that it shows: as SillyTavern 1.19 keeps them, and as it did before.
    pub fn pictures(&self) -> Vec<Picture> {
        let Some(extra) = self.extra() else { return Vec::new() };
        let is_picture = |item: &&Value| item.get("type").and_then(Value::as_str).is_none_or(|kind| kind == "image");
        let media = extra.get("media").and_then(Value::as_array).into_iter().flatten().filter(is_picture);
        let single = extra.get("image").and_then(Value::as_str).into_iter();
        let mut urls: Vec<&str> = media.filter_map(|item| item.get("url")?.as_str()).chain(single).collect();
        urls.dedup();
        urls.into_iter().map(|url| Picture { url: url.to_owned() }).collect()
    }

    /// Adds a picture that is at `url`.
    pub fn add_picture(&mut self, url: &str) {
        let extra = self.extra_mut();
        let media = extra.entry("media").or_insert_with(|| json!([]));
        if !media.is_array() {
            *media = json!([]);
        }
        if let Some(media) = media.as_array_mut() {
            media.push(json!({ "type": "image", "url": url }));
        }
    }

    /// Which swipe is shown, and how many there are; none if there are no others.
    pub fn swipes(&self) -> Option<(usize, usize)> {
        let swipes = self.0.get("swipes")?.as_array().filter(|swipes| !swipes.is_empty())?;
        Some((self.swipe_id().min(swipes.len() - 1), swipes.len()))
    }

    fn swipe_id(&self) -> usize {
        self.0.get("swipe_id").and_then(Value::as_u64).and_then(|id| usize::try_from(id).ok()).unwrap_or(0)
    }

    /// The words of a swipe.
    pub fn swipe_text(&self, at: usize) -> Option<&str> {
        self.0.get("swipes")?.as_array()?.get(at)?.as_str()
    }

    /// Adds a swipe and shows it.
    pub fn add_swipe(&mut self, swipe: Swipe) {
        self.start_swipes();
        let Swipe { text, send_date, gen_started, gen_finished, extra } = swipe;
        let mut info = Map::new();
        info.insert("send_date".to_owned(), send_date.unwrap_or_else(|| clock::rfc3339(clock::now_ms())).into());
        for (field, value) in [("gen_started", gen_started), ("gen_finished", gen_finished)] {
            if let Some(value) = value {
                info.insert(field.to_owned(), value.into());
            }
        }
        info.insert("extra".to_owned(), extra.into());
        list_in(&mut self.0, "swipes").push(text.into());
        list_in(&mut self.0, "swipe_info").push(info.into());
        let last = list_in(&mut self.0, "swipes").len() - 1;
        self.show(last);
    }

    /// Shows another swipe.
    pub fn select_swipe(&mut self, at: usize) -> Result<()> {
        let count = self.swipes().map_or(1, |(_, count)| count);
        if at >= count {
            return Err(Error::invalid("no_swipe", format!("This message has {count} swipes, counted from 0.")));
        }
        if self.swipes().is_some() {
            self.start_swipes();
            self.show(at);
        }
        Ok(())
    }

    /// Makes what is shown the first swipe, unless there are swipes; fills what is missing beside them.
    fn start_swipes(&mut self) {
        if self.swipes().is_none() {
            self.0.insert("swipe_id".to_owned(), 0.into());
            self.0.insert("swipes".to_owned(), json!([self.text()]));
            self.0.insert("swipe_info".to_owned(), json!([]));
        }
        let count = list_in(&mut self.0, "swipes").len();
        let infos = list_in(&mut self.0, "swipe_info");
        while infos.len() < count {
            infos.push(json!({ "extra": {} }));
        }
        infos.iter_mut().filter(|info| !info.is_object()).for_each(|info| *info = json!({ "extra": {} }));
        infos.truncate(count);
        self.sync_swipe();
    }

    /// Writes what is shown into its swipe.
    fn sync_swipe(&mut self) {
        let Some((at, _)) = self.swipes() else { return };
        let text = Value::from(self.text());
        if let Some(swipe) = list_in(&mut self.0, "swipes").get_mut(at) {
            *swipe = text;
        }
        let shown: Vec<(&str, Option<Value>)> = ["send_date", "gen_started", "gen_finished", "extra"]
            .map(|field| (field, self.0.get(field).cloned()))
            .into();
        if let Some(Value::Array(infos)) = self.0.get_mut("swipe_info")
            && let Some(Value::Object(info)) = infos.get_mut(at)
        {
            for (field, value) in shown {
                if let Some(value) = value {
                    info.insert(field.to_owned(), value);
                }
            }
        }
    }

    fn show(&mut self, at: usize) {
        let id = self.id().map(str::to_owned);
        let info = list_in(&mut self.0, "swipe_info").get(at).cloned().unwrap_or_default();
        let text = self.swipe_text(at).unwrap_or_default().to_owned();
        self.0.insert("swipe_id".to_owned(), at.into());
        self.0.insert("mes".to_owned(), text.into());
        for field in ["send_date", "gen_started", "gen_finished", "extra"] {
            match info.get(field) {
                Some(value) => drop(self.0.insert(field.to_owned(), value.clone())),
                // The date stays, there has to be one.
                None if field == "send_date" => {}
                None => drop(self.0.shift_remove(field)),
            }
        }
        if !self.0.get("extra").is_some_and(Value::is_object) {
            self.0.insert("extra".to_owned(), json!({}));
        }
        if let Some(id) = id
            && self.id().is_none()
        {
            self.set_ours("id", Some(id.into()));
        }
    }
}

/// The first line of a chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Header(Map<String, Value>);

impl Header {
    /// That of a new chat, as SillyTavern 1.19 writes it.
    pub fn new(mut metadata: Map<String, Value>) -> Result<Self> {
        metadata.shift_remove("integrity");
        let mut fields = Map::new();
        let mut whole = Map::new();
        whole.insert("integrity".to_owned(), integrity()?.into());
        whole.extend(metadata);
        fields.insert("chat_metadata".to_owned(), whole.into());
        fields.insert("user_name".to_owned(), "unused".into());
        fields.insert("character_name".to_owned(), "unused".into());
        Ok(Self(fields))
    }

    /// Reads a first line. `None` if it is a message, or damaged.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let Message(fields) = Message::parse(line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line))?;
        (fields.contains_key("chat_metadata") || !fields.contains_key("mes")).then_some(Self(fields))
    }

    /// The line, without an end.
    pub fn to_line(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self.0).map_err(Error::internal)
    }

    /// What belongs to the chat as a whole, by SillyTavern's names.
    pub fn metadata(&self) -> Option<&Map<String, Value>> {
        self.0.get("chat_metadata")?.as_object()
    }

    /// The same, to be changed; made if need be.
    pub fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        object_in(&mut self.0, "chat_metadata")
    }

    /// One of our own fields.
    pub fn ours(&self, field: &str) -> Option<&Value> {
        self.metadata()?.get(OURS)?.get(field)
    }

    /// Sets one of our own fields, or removes it.
    pub fn set_ours(&mut self, field: &str, value: Option<Value>) {
        let metadata = self.metadata_mut();
        let ours = object_in(metadata, OURS);
        match value {
            Some(value) => drop(ours.insert(field.to_owned(), value)),
            None => drop(ours.shift_remove(field)),
        }
        if ours.is_empty() {
            metadata.shift_remove(OURS);
        }
    }

    /// The id by which SillyTavern tells one chat from another. It is not a version.
    pub fn integrity(&self) -> Option<&str> {
        self.metadata()?.get("integrity")?.as_str()
    }

    /// Gives the chat an id of its own, for one that is made from another.
    pub fn renew_integrity(&mut self) -> Result<()> {
        let integrity = integrity()?;
        self.metadata_mut().insert("integrity".to_owned(), integrity.into());
        Ok(())
    }
}

/// A random UUID.
fn integrity() -> Result<String> {
    let mut bytes = crate::random::random::<16>()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

/// The object in a field, made if need be.
fn object_in<'a>(fields: &'a mut Map<String, Value>, field: &str) -> &'a mut Map<String, Value> {
    let value = fields.entry(field).or_insert_with(|| Value::Object(Map::new()));
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(object) => object,
        _ => unreachable!("it was made an object above"),
    }
}

/// The list in a field, made if need be.
fn list_in<'a>(fields: &'a mut Map<String, Value>, field: &str) -> &'a mut Vec<Value> {
    let value = fields.entry(field).or_insert_with(|| Value::Array(Vec::new()));
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    match value {
        Value::Array(list) => list,
        _ => unreachable!("it was made a list above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(value: Value) -> Message {
        Message::parse(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn unknown_fields_stay_where_they_are() {
        let line = br#"{"name":"Ada","odd":{"z":1,"a":[1.50,null]},"is_user":false,"mes":"hi","extra":{"x":1}}"#;
        let mut message = Message::parse(line).unwrap();
        message.set_text("ho");
        let text = String::from_utf8(message.to_line().unwrap()).unwrap();
        assert_eq!(text, r#"{"name":"Ada","odd":{"z":1,"a":[1.5,null]},"is_user":false,"mes":"ho","extra":{"x":1}}"#);
    }

    #[test]
    fn swipes_keep_what_belongs_to_each() {
        let mut message = Message::new("Ada", false, "one").with_id("m1");
        message.extra_mut().insert("model".to_owned(), "first".into());
        let extra = Map::from_iter([("model".to_owned(), "second".into())]);
        message.add_swipe(Swipe { text: "two".into(), extra, ..Swipe::default() });
        assert_eq!((message.text(), message.swipes()), ("two", Some((1, 2))));
        assert_eq!(message.extra().unwrap()["model"], "second");
        assert_eq!(message.id(), Some("m1"));
        message.set_text("two!");
        message.select_swipe(0).unwrap();
        assert_eq!((message.text(), message.swipes()), ("one", Some((0, 2))));
        assert_eq!(message.extra().unwrap()["model"], "first");
        message.select_swipe(1).unwrap();
        assert_eq!(message.text(), "two!");
        assert!(message.select_swipe(2).is_err());
    }

    #[test]
    fn odd_swipes_are_put_right() {
        let mut odd = message(json!({ "mes": "a", "swipes": ["a", "b", 3], "swipe_id": 77, "swipe_info": ["x"] }));
        assert_eq!(odd.swipes(), Some((2, 3)));
        odd.select_swipe(1).unwrap();
        assert_eq!(odd.text(), "b");
        let mut none = message(json!({ "mes": "a", "swipes": "x" }));
        none.add_swipe(Swipe { text: "b".into(), ..Swipe::default() });
        assert_eq!((none.text(), none.swipes(), none.swipe_text(0)), ("b", Some((1, 2)), Some("a")));
        assert!(message(json!({ "mes": "a" })).select_swipe(1).is_err());
    }

    #[test]
    fn what_is_no_message_is_none() {
        for line in ["", "[]", "1", "{", "{\"a\":1}x", "null", "[\"a\"]"] {
            assert!(Message::parse(line.as_bytes()).is_none(), "{line}");
        }
        assert!(Message::parse(b"{\"mes\":\"\xff\"}").is_none());
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(Message::parse(deep.as_bytes()).is_none());
    }

    #[test]
    fn headers_are_told_from_messages() {
        assert!(Header::parse(br#"{"chat_metadata":{},"mes":"x"}"#).is_some());
        assert!(
            Header::parse(b"\xef\xbb\xbf{\"user_name\":\"a\",\"character_name\":\"b\",\"create_date\":\"x\"}")
                .is_some()
        );
        assert!(Header::parse(br#"{"name":"Ada","mes":"x"}"#).is_none());
        assert!(Header::parse(b"{\"chat_meta").is_none());
        let header = Header::new(Map::new()).unwrap();
        assert_eq!(header.integrity().unwrap().len(), 36);
        assert_eq!(header.integrity().unwrap().as_bytes()[14], b'4');
        assert!(
            String::from_utf8(header.to_line().unwrap())
                .unwrap()
                .ends_with(r#""user_name":"unused","character_name":"unused"}"#)
        );
    }

    #[test]
    fn pictures_old_and_new() {
        let mut new = message(
            json!({ "extra": { "media": [{ "type": "image", "url": "/a" }, { "type": "video", "url": "/v" }] } }),
        );
        new.add_picture("/b");
        let urls = |message: &Message| message.pictures().into_iter().map(|picture| picture.url).collect::<Vec<_>>();
        assert_eq!(urls(&new), ["/a", "/b"]);
        assert_eq!(urls(&message(json!({ "extra": { "image": "/old" } }))), ["/old"]);
        assert!(urls(&message(json!({ "extra": 3 }))).is_empty());
    }
}
