//! The peer: hyper with our runtime and our connection settings, and nothing else.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use crate::http::{self, Answer};
use crate::process::Running;

pub const FLAG: &str = "--bare-hyper";
/// What the peer saves.
const SAVED: &str = "saved.json";

/// A bare server that runs as a child.
pub struct Bare {
    pub running: Running,
    pub address: SocketAddr,
}

impl Bare {
    /// Starts one that gives `answer` to every request; what it needs for that is put into `folder`. If it is to save
    /// something, it first reads the request's body and writes the bytes of `saves` instead, which ours makes of it, into
    /// the subfolder of the folder of `saves` that the path names.
    pub fn start(answer: &Answer, folder: &Path, saves: Option<(&[u8], &Path)>) -> Result<Self> {
        let sample = folder.join("answer.http");
        let mut text = String::from("HTTP/1.1 200 OK\r\n");
        for (name, value) in
            answer.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "date" | "content-length"))
        {
            text += &format!("{name}: {value}\r\n");
        }
        let mut bytes = (text + "\r\n").into_bytes();
        bytes.extend_from_slice(&answer.body);
        fs::write(&sample, bytes)?;
        let mut arguments = vec![FLAG, sample.to_str().context("a path in UTF-8")?];
        let saved = folder.join(SAVED);
        if let Some((bytes, root)) = saves {
            fs::write(&saved, bytes)?;
            arguments.extend([saved.to_str().context("a path in UTF-8")?, root.to_str().context("a path in UTF-8")?]);
        }
        let mut running = Running::myself(&arguments)?;
        let out = running.0.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        Ok(Self { running, address: line.trim().parse().context("the peer did not say its address")? })
    }
}

/// What the child does: serves until it is killed.
pub fn serve(what: &[&str]) -> Result<()> {
    let (sample, saves) = match what {
        [sample] => (sample, None),
        [sample, saved, root] => (sample, Some((saved, PathBuf::from(root)))),
        _ => bail!("this is for the benchmark itself"),
    };
    let bytes = fs::read(sample)?;
    let (head, _) = http::measure(&bytes)?.context("no head")?;
    let answer = http::parse(&bytes[..head], bytes[head..].to_vec())?;
    let mut headers = HeaderMap::new();
    for (name, value) in &answer.headers {
        headers.append(hyper::header::HeaderName::from_bytes(name.as_bytes())?, value.parse()?);
    }
    let (saved, folder) = match saves {
        Some((saved, root)) => (fs::read(saved)?, Some(root)),
        None => (Vec::new(), None),
    };
    let peer = Arc::new(Peer { headers, body: answer.body.into(), folder, saved: saved.into() });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(64).build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        let builder = builder();
        loop {
            let (stream, _) = listener.accept().await?;
            let _ = stream.set_nodelay(true);
            let (builder, peer) = (builder.clone(), Arc::clone(&peer));
            tokio::spawn(async move {
                let service = service_fn(move |request| Arc::clone(&peer).answer(request));
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

struct Peer {
    headers: HeaderMap,
    body: Bytes,
    folder: Option<PathBuf>,
    saved: Bytes,
}

impl Peer {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        if let Some(folder) = &self.folder {
            let folder = folder.join(request.uri().path().trim_start_matches('/'));
            let bytes = self.saved.clone();
            let saved = match request.into_body().collect().await {
                Ok(_) => tokio::task::spawn_blocking(move || save(&folder, &bytes)).await,
                Err(_) => Ok(Err(io::ErrorKind::UnexpectedEof.into())),
            };
            if !matches!(saved, Ok(Ok(()))) {
                let mut refused = Response::new(Full::default());
                *refused.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
                return Ok(refused);
            }
        }
        let mut answer = Response::new(Full::new(self.body.clone()));
        *answer.headers_mut() = self.headers.clone();
        Ok(answer)
    }
}

/// The least that makes a saved file survive a power cut.
fn save(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = folder.join("peer.tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join("peer.json"))?;
    File::open(folder)?.sync_all()
}

/// As in our accept loop.
fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let time = Duration::from_secs(30);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(time).max_buf_size(64 * 1024);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(64);
    builder
}
