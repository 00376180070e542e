//! Replies: how much later a word arrives for coming through the house, and what many replies at once take.
//!
//! The model server is in this process, so that both ends have one clock: each word is the moment at which it was sent. The
//! same words are read straight from the model as well; what the way through the house adds is the difference.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use crate::process;
use crate::report::{Row, quantile};
use crate::server::{self, Guest, House};

/// Replies at once, whose words are timed.
const TIMED: usize = 200;
/// Replies at once, whose memory is looked at.
const MANY: usize = 500;
/// Words of a reply, and the time between two.
const WORDS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(100);
/// Clients from one address may have so many connections.
const FROM_ONE_ADDRESS: usize = 200;

/// What this section's house has in its configuration beside the others'.
pub const CONFIG: &str = "whitelistMode: false
models:
  perConnection: 1000
  perUser: 1000
";

pub fn measure(house: &House) -> Result<Vec<Row>> {
    let model = Model::start()?;
    let guest = house.sign_in(&server::handle(0), &server::password(0))?;
    let connection = furnish(house, &guest, &model)?;
    let direct = model.round(TIMED, |base, _| Request { address: model.address, bytes: base.to_vec() })?;
    let through = through(house, &guest, &model, &connection, TIMED, "timed")?;
    process::forget_peak(house.pid())?;
    let before = process::memory(house.pid(), "VmRSS")?;
    self::through(house, &guest, &model, &connection, MANY, "many")?;
    let peak = process::memory(house.pid(), "VmHWM")?;
    let word = |what: &str, at: f64| {
        let (house, model) = (quantile(&through, at), quantile(&direct, at));
        [
            Row::limited(
                &format!("a word later through the house, {TIMED} replies at once, {what}"),
                house - model,
                2.0,
                "ms",
            ),
            Row::told(&format!("– its whole way, {what}"), house, "ms"),
            Row::told(&format!("– straight from the model, {what}"), model, "ms"),
        ]
    };
    let mut rows: Vec<Row> = word("median", 0.5).into_iter().chain(word("p99", 0.99)).collect();
    rows.push(Row::limited(&format!("memory with {MANY} replies at once ({before:.0} MB before)"), peak, 100.0, "MB"));
    Ok(rows)
}

/// A character, and a connection to the model.
fn furnish(house: &House, guest: &Guest, model: &Model) -> Result<String> {
    house.ask(guest, "POST", "/api/v1/characters/assistant", b"{}")?;
    let keeper = house.sign_in("default-user", "")?;
    let body = json!({ "scope": "house", "name": "Clock", "kind": "openai", "model": "clock",
        "baseUrl": format!("http://{}/v1", model.address) });
    let made = house.ask(&keeper, "POST", "/api/v1/connections", body.to_string().as_bytes())?;
    let made: Value = serde_json::from_slice(&made.body)?;
    Ok(made["id"].as_str().context("no connection")?.to_owned())
}

/// So many replies through the house, each in a chat of its own.
fn through(
    house: &House,
    guest: &Guest,
    model: &Model,
    connection: &str,
    count: usize,
    name: &str,
) -> Result<Vec<f64>> {
    let folder = house.user(0).join("chats/Assistant");
    std::fs::create_dir_all(&folder)?;
    let mut paths = Vec::new();
    model.hold();
    for n in 0..count {
        let chat = format!("{name}-{n}");
        std::fs::write(folder.join(format!("{chat}.jsonl")), r#"{"chat_metadata":{}}"#)?;
        let body = json!({ "character": "Assistant", "chat": chat, "kind": "reply", "text": "What is the time?",
            "connection": connection });
        let started = house.ask(guest, "POST", "/api/v1/generations", body.to_string().as_bytes())?;
        let started: Value = serde_json::from_slice(&started.body)?;
        paths.push(format!("/api/v1/generations/{}/events?html=false", started["id"].as_str().context("no id")?));
    }
    let address = house.address;
    model.round(count, |_, n| Request { address, bytes: guest.request("GET", &paths[n], b"") })
}

struct Request {
    address: SocketAddr,
    bytes: Vec<u8>,
}

/// A model server that tells the time.
struct Model {
    address: SocketAddr,
    base: Instant,
    go: watch::Sender<bool>,
}

impl Model {
    fn start() -> Result<Self> {
        let (go, goes) = watch::channel(false);
        let (tell, told) = std::sync::mpsc::channel();
        let base = Instant::now();
        thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                tell.send(listener.local_addr()?)?;
                for n in 0.. {
                    let (stream, _) = listener.accept().await?;
                    tokio::spawn(speak(stream, goes.clone(), base, n));
                }
                Ok(())
            })
        });
        Ok(Self { address: told.recv()?, base, go })
    }

    /// Whoever asks from now on waits for the next round.
    fn hold(&self) {
        self.go.send_replace(false);
    }

    /// Follows so many replies from where `request` says; milliseconds from each word's sending to its arrival.
    fn round(&self, count: usize, request: impl Fn(&[u8], usize) -> Request) -> Result<Vec<f64>> {
        let ask = b"POST /v1/chat/completions HTTP/1.1\r\nHost: model\r\nContent-Length: 2\r\n\r\n{}";
        self.hold();
        let base = self.base;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut open = Vec::new();
            for n in 0..count {
                let Request { address, bytes } = request(ask, n);
                let from = Ipv4Addr::new(127, 0, 1 + u8::try_from(n / FROM_ONE_ADDRESS)?, 1);
                let socket = TcpSocket::new_v4()?;
                socket.bind((from, 0).into())?;
                let mut stream = socket.connect(address).await?;
                stream.set_nodelay(true)?;
                stream.write_all(&bytes).await?;
                open.push(tokio::spawn(listen(stream, base)));
            }
            // All have been asked by then.
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.go.send_replace(true);
            let mut times = Vec::new();
            for task in open {
                let heard = task.await??;
                if heard.len() != WORDS as usize {
                    bail!("a reply had {} words of {WORDS}", heard.len());
                }
                times.extend(heard);
            }
            Ok(times)
        })
    }
}

/// Answers one question, word by word.
async fn speak(mut stream: TcpStream, mut go: watch::Receiver<bool>, base: Instant, n: u32) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut asked = Vec::new();
    while !is_whole(&asked) {
        if stream.read_buf(&mut asked).await? == 0 {
            bail!("whoever asked hung up");
        }
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    go.wait_for(|go| *go).await?;
    // They do not all speak in the same moment.
    let start = tokio::time::Instant::now() + PAUSE.mul_f64(f64::from(n % 97) / 97.0);
    for word in 0..WORDS {
        tokio::time::sleep_until(start + PAUSE * word).await;
        let now = base.elapsed().as_nanos();
        let line = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{now};\"}}}}]}}\n\n");
        stream.write_all(line.as_bytes()).await?;
    }
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    stream.write_all(end.as_bytes()).await?;
    Ok(())
}

/// Whether all of a question is here.
fn is_whole(asked: &[u8]) -> bool {
    let Some(head) = asked.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&asked[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    asked.len() >= head + 4 + length.unwrap_or(0)
}

/// Reads to the end of a reply; milliseconds that each word took.
async fn listen(mut stream: TcpStream, base: Instant) -> Result<Vec<f64>> {
    let mut buffer = vec![0; 16 * 1024];
    let (mut pending, mut times) = (Vec::new(), Vec::new());
    loop {
        let read = stream.read(&mut buffer).await?;
        let now = base.elapsed();
        pending.extend_from_slice(&buffer[..read]);
        let whole = pending.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = pending.drain(..whole).collect();
        let text = String::from_utf8_lossy(&lines);
        let is_over = read == 0 || text.contains("event: done") || text.contains("[DONE]");
        for line in text.lines().filter(|line| line.contains("\"text\":\"") || line.contains("\"content\":\"")) {
            if line.contains("\"message\":") {
                continue;
            }
            for word in line.split(';') {
                let digits = word.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
                if let Ok(sent) = digits.parse::<u64>() {
                    times.push((now.saturating_sub(Duration::from_nanos(sent))).as_secs_f64() * 1e3);
                }
            }
        }
        if is_over {
            return Ok(times);
        }
    }
}
