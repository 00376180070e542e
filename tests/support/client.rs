//! A guest: a small HTTP client over a real socket, with the cookies and the CSRF token of one browser.
//!
//! It is written by hand on purpose: what the server says is read as bytes, by code that shares nothing with the server.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

/// The longest that anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A request before it is sent.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    /// The CSRF token to send instead of the guest's own; `Some(None)` sends none.
    pub token: Option<Option<String>>,
}

impl Request {
    /// A request without a body.
    pub fn new(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: None, token: None }
    }

    /// With a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", serde_json::to_vec(body).unwrap())
    }

    /// With a body of this type.
    pub fn body(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self.header("Content-Type", media_type)
    }

    /// With a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a CSRF token.
    pub fn without_token(mut self) -> Self {
        self.token = Some(None);
        self
    }

    /// With somebody else's CSRF token.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(Some(token.to_owned()));
        self
    }

    fn changes(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }
}

/// What the server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub asked: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The answer, if it has this status; else the test fails and shows it.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// The answer, if it is an error of our dialect with this status and code.
    #[track_caller]
    pub fn expect_error(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self}");
        self
    }

    /// A header, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self}"))
    }

    /// The stable word of an error, or nothing.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The cookies that were set, whole.
    pub fn set_cookies(&self) -> Vec<&str> {
        let set = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case("set-cookie"));
        set.map(|(_, value)| value.as_str()).collect()
    }

    /// What can be told from outside, without what is random: the date, and the cookies' values.
    pub fn fingerprint(&self) -> String {
        let mut headers: Vec<String> = Vec::new();
        for (name, value) in &self.headers {
            match name.to_ascii_lowercase().as_str() {
                "date" => {}
                "set-cookie" => {
                    let (name, rest) = value.split_once('=').unwrap_or((value, ""));
                    let (secret, attributes) = rest.split_once(';').unwrap_or((rest, ""));
                    headers.push(format!("set-cookie: {name}=<{}>;{attributes}", secret.len()));
                }
                name => headers.push(format!("{name}: {value}")),
            }
        }
        format!("{}\n{}\n\n{}", self.status, headers.join("\n"), self.text())
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.text();
        let shown: String = text.chars().take(600).collect();
        write!(f, "{} -> {} {:?}\n{shown}", self.asked, self.status, self.headers)
    }
}

/// One browser.
pub struct Guest {
    address: SocketAddr,
    tls: Option<std::sync::Arc<rustls::ClientConfig>>,
    cookies: Mutex<BTreeMap<String, String>>,
    token: Mutex<Option<String>>,
    always: Vec<(String, String)>,
}

impl Guest {
    /// A browser that has never been here.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, tls: None, cookies: Mutex::default(), token: Mutex::default(), always: Vec::new() }
    }

    /// The same over TLS.
    pub fn over_tls(address: SocketAddr, config: rustls::ClientConfig) -> Self {
        Self { tls: Some(std::sync::Arc::new(config)), ..Self::new(address) }
    }

    /// The same browser with a header that it always sends.
    pub fn always(mut self, name: &str, value: &str) -> Self {
        self.always.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same browser behind a proxy that says so.
    pub fn from(self, address: &str) -> Self {
        self.always("X-Forwarded-For", address)
    }

    /// Signs in through our own dialect.
    pub fn signs_in(&self, handle: &str, password: &str) -> Answer {
        self.post("/api/v1/session", json!({ "handle": handle, "password": password }))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send(Request::new("GET", path))
    }

    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Request::new("POST", path).json(&body))
    }

    pub fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Request::new("PUT", path).json(&body))
    }

    pub fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Request::new("PATCH", path).json(&body))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send(Request::new("DELETE", path))
    }

    /// Saves the settings as SillyTavern's client does.
    pub fn saves(&self, settings: &Value) -> Answer {
        self.post("/api/settings/save", settings.clone())
    }

    /// Sends a request with this browser's cookies and token, and waits for the whole answer.
    #[track_caller]
    pub fn send(&self, request: Request) -> Answer {
        let asked = format!("{} {}", request.method, request.path);
        self.try_send(request).unwrap_or_else(|error| panic!("{asked}: {error}"))
    }

    /// Like [`Guest::send`], where the server may be gone.
    pub fn try_send(&self, request: Request) -> io::Result<Answer> {
        let token = match &request.token {
            Some(chosen) => chosen.clone(),
            None if request.changes() => Some(self.try_token()?),
            None => None,
        };
        let answer = self.exchange(&request, token.as_deref())?;
        self.remember(&answer);
        Ok(answer)
    }

    /// This browser's CSRF token, fetched if need be.
    pub fn token(&self) -> String {
        self.try_token().unwrap()
    }

    fn try_token(&self) -> io::Result<String> {
        if let Some(token) = self.token.lock().unwrap().clone() {
            return Ok(token);
        }
        let answer = self.exchange(&Request::new("GET", "/csrf-token"), None)?;
        self.remember(&answer);
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let token = body["token"].as_str().unwrap_or("none").to_owned();
        *self.token.lock().unwrap() = Some(token.clone());
        Ok(token)
    }

    /// Asks for a new token next time, as a page does when it is loaded.
    pub fn forgets_token(&self) {
        *self.token.lock().unwrap() = None;
    }

    /// The value of the cookie whose name begins so.
    pub fn cookie(&self, prefix: &str) -> Option<String> {
        let cookies = self.cookies.lock().unwrap();
        cookies.iter().find(|(name, _)| name.starts_with(prefix)).map(|(_, value)| value.clone())
    }

    /// Another browser that holds a copy of these cookies.
    pub fn copy(&self) -> Self {
        Self {
            address: self.address,
            tls: self.tls.clone(),
            cookies: Mutex::new(self.cookies.lock().unwrap().clone()),
            token: Mutex::default(),
            always: self.always.clone(),
        }
    }

    /// Whether the server still knows who this is.
    pub fn is_signed_in(&self) -> bool {
        self.get("/api/v1/me").status == 200
    }

    fn remember(&self, answer: &Answer) {
        for cookie in answer.set_cookies() {
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').unwrap();
            let gone = attributes.split(';').any(|attribute| attribute.trim() == "Max-Age=0");
            let mut cookies = self.cookies.lock().unwrap();
            let old = if gone { cookies.remove(name) } else { cookies.insert(name.to_owned(), value.to_owned()) };
            if gone || old.as_deref() != Some(value) {
                *self.token.lock().unwrap() = None;
            }
        }
    }

    /// The bytes of a request as this browser sends it.
    pub fn bytes_of(&self, request: &Request, token: Option<&str>) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
        let mut header = |name: &str, value: &str| text.push_str(&format!("{name}: {value}\r\n"));
        let named = |name: &str| request.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        if !named("host") {
            header("Host", &self.address.to_string());
        }
        header("Connection", "close");
        let cookies = self.cookies.lock().unwrap();
        if !cookies.is_empty() && !named("cookie") {
            let list: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            header("Cookie", &list.join("; "));
        }
        if let Some(token) = token {
            header("X-CSRF-Token", token);
        }
        for (name, value) in self.always.iter().chain(&request.headers) {
            header(name, value);
        }
        let body = request.body.as_deref().unwrap_or_default();
        if (request.body.is_some() || request.changes()) && !named("content-length") && !named("transfer-encoding") {
            header("Content-Length", &body.len().to_string());
        }
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        bytes
    }

    /// Sends a request and gives the open socket, from which nothing has been read.
    pub fn begin(&self, request: &Request) -> TcpStream {
        let token = request.changes().then(|| self.token());
        let mut socket = connect(self.address).unwrap();
        socket.write_all(&self.bytes_of(request, token.as_deref())).unwrap();
        socket
    }

    fn exchange(&self, request: &Request, token: Option<&str>) -> io::Result<Answer> {
        let bytes = self.bytes_of(request, token);
        let asked = format!("{} {}", request.method, request.path);
        let socket = connect(self.address)?;
        let raw = match &self.tls {
            None => talk(socket, &bytes)?,
            Some(config) => {
                let name = "localhost".try_into().unwrap();
                let client = rustls::ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
                talk(rustls::StreamOwned::new(client, socket), &bytes)?
            }
        };
        parse(&raw, asked, request.method == "HEAD")
    }
}

/// A socket that does not wait for ever.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Sends bytes as they are and reads until the server closes. A server that refuses early may not read all of them.
pub fn talk(mut stream: impl Read + Write, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let sent = stream.write_all(bytes).and_then(|()| stream.flush());
    let mut raw = Vec::new();
    match stream.read_to_end(&mut raw) {
        Ok(_) => {}
        Err(_) if !raw.is_empty() => {}
        Err(error) => return Err(sent.err().unwrap_or(error)),
    }
    if raw.is_empty() {
        return Err(sent.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(raw)
}

/// Reads an answer; one that is cut short is an error.
pub fn parse(raw: &[u8], asked: String, is_head: bool) -> io::Result<Answer> {
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{asked}: {why}"));
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| wrong("the head was cut short"))?;
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| wrong("no status"))?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    if status == 100 {
        return parse(&raw[end + 4..], asked, is_head);
    }
    let mut answer = Answer { asked: asked.clone(), status, headers, body: raw[end + 4..].to_vec() };
    if is_head || status == 204 || status == 304 {
        answer.body.clear();
    } else if answer.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        answer.body = unchunk(&answer.body).ok_or_else(|| wrong("the body was cut short"))?;
    } else if let Some(length) = answer.header("content-length").and_then(|value| value.parse::<usize>().ok()) {
        if answer.body.len() < length {
            return Err(wrong("the body was cut short"));
        }
        answer.body.truncate(length);
    }
    Ok(answer)
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size =
            usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?.trim(), 16).ok()?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
