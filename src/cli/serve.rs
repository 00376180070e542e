//! `tavernkeep serve`.

use std::io::{IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::Common;
use super::options::shown;
use crate::app::{App, Opens};
use crate::config::{Config, Loaded, LogLevel, Logging, Overrides, Switch};
use crate::events::{Event, Origin, What};
use crate::http::tls::Tls;
use crate::http::{State, serve};
use crate::store::open_log;

/// Between two rounds of housekeeping.
const ROUND: Duration = Duration::from_secs(60);
/// Between two looks for what has been kept long enough.
const SWEEP: Duration = Duration::from_secs(24 * 3600);
/// When stopping, writes get so long to end.
const LAST_WRITES: Duration = Duration::from_secs(30);

/// How to open the house.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The port; 0 takes a free one
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Let other machines in
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    listen: Option<bool>,
    /// Serve this folder before the built-in pages, such as SillyTavern's own `public`
    #[arg(long, value_name = "DIR")]
    public: Option<PathBuf>,
    /// Make accounts for folders in the data folder that have none
    #[arg(long)]
    adopt: bool,
}

impl Options {
    /// What was given before the command, or after it.
    pub fn or(self, other: Self) -> Self {
        Self {
            port: other.port.or(self.port),
            listen: other.listen.or(self.listen),
            public: other.public.or(self.public),
            adopt: other.adopt || self.adopt,
        }
    }
}

/// glibc hands memory back to the system whenever 128 kB lie free, and asks for it again at the next request: a save of
/// settings then waits for the page tables of all threads. Freeing a block of this size once raises that limit to twice it.
const KEPT_FREE: usize = 512 * 1024;

fn keep_freed_memory() {
    drop(std::hint::black_box(vec![0u8; KEPT_FREE]));
}

/// Serves until told to stop.
pub fn run(common: &Common, options: Options) -> Result<()> {
    let overrides =
        Overrides { data_root: None, port: options.port, listen: options.listen, public: options.public.clone() };
    let loaded = common.load(overrides)?;
    start_log(&loaded.config.logging)?;
    common.write_default_config();
    tell_warnings(&loaded);
    let Loaded { config, .. } = loaded;
    let tls = Tls::from_config(&config.ssl)?;
    keep_freed_memory();
    let app = Arc::new(common.open(config, Opens { serve: true, adopt: options.adopt, ..Opens::default() })?);
    app.check_exposure()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tavernkeep")
        .max_blocking_threads(256)
        .build()
        .context("Could not start the runtime")?;
    let result = runtime.block_on(open(app, tls));
    // What is being written gets written.
    runtime.shutdown_timeout(LAST_WRITES);
    result
}

async fn open(app: Arc<App>, tls: Option<Arc<Tls>>) -> Result<()> {
    live_with_file_limits();
    let listeners = bind(&app.config).await?;
    let state = State::new(Arc::clone(&app), CancellationToken::new())?;
    app.events.record(Event::new(What::Started, &Origin::default()).with("version", env!("CARGO_PKG_VERSION")));
    greet(&app.config, &listeners);
    let housekeeping = tokio::spawn(keep_house(Arc::clone(&app)));
    serve::run(state, listeners, tls.clone(), told_to_stop(tls)).await.context("The server failed")?;
    housekeeping.abort();
    tokio::task::spawn_blocking(move || app.accounts.flush()).await.context("The last writes failed")?;
    tracing::info!("closed");
    Ok(())
}

/// Binds every address that the configuration asks for.
async fn bind(config: &Config) -> Result<Vec<TcpListener>> {
    let v4: IpAddr = if config.listen { config.listen_address.ipv4.into() } else { IpAddr::from([127, 0, 0, 1]) };
    let v6: IpAddr =
        if config.listen { config.listen_address.ipv6.into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
    let mut listeners: Vec<TcpListener> = Vec::new();
    for (address, switch) in [(v4, config.protocol.ipv4), (v6, config.protocol.ipv6)] {
        if switch == Switch::Off {
            continue;
        }
        // A free port that was taken for one family serves both.
        let port = match listeners.first() {
            Some(first) if config.port == 0 => first.local_addr()?.port(),
            _ => config.port,
        };
        match listen(SocketAddr::new(address, port)) {
            Ok(listener) => listeners.push(listener),
            Err(error) if switch == Switch::Auto => tracing::info!(%address, %error, "not listening there"),
            Err(error) => {
                let hint = match error.kind() {
                    std::io::ErrorKind::AddrInUse => " Another program uses that port; choose another by --port.",
                    std::io::ErrorKind::PermissionDenied => {
                        " Ports below 1024 need a privilege; choose another by --port."
                    }
                    _ => "",
                };
                return Err(error).context(format!("Could not listen on {address} port {port}.{hint}"));
            }
        }
    }
    anyhow::ensure!(!listeners.is_empty(), "There is no address to listen on: see protocol in config.yaml.");
    Ok(listeners)
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    use tokio::net::TcpSocket;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(cfg!(unix))?;
    if address.is_ipv6() {
        // Otherwise [::] takes the IPv4 port as well, and 0.0.0.0 finds it taken.
        #[cfg(unix)]
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    socket.bind(address)?;
    socket.listen(1024)
}

fn greet(config: &Config, listeners: &[TcpListener]) {
    let scheme = if config.ssl.enabled { "https" } else { "http" };
    let mut out = std::io::stdout().lock();
    for address in listeners.iter().filter_map(|listener| listener.local_addr().ok()) {
        // Nobody to tell, if the console is gone.
        let _ = writeln!(out, "Tavernkeep is open at {scheme}://{address}/");
    }
    let _ = writeln!(out, "Data: {}", shown(&config.data_root));
    let _ = out.flush();
}

async fn keep_house(app: Arc<App>) {
    let mut round = tokio::time::interval(ROUND);
    let mut last_sweep: Option<tokio::time::Instant> = None;
    loop {
        round.tick().await;
        let sweep = last_sweep.is_none_or(|last| last.elapsed() >= SWEEP);
        if sweep {
            last_sweep = Some(tokio::time::Instant::now());
        }
        let app = Arc::clone(&app);
        let done = tokio::task::spawn_blocking(move || {
            app.keep_house();
            if sweep {
                app.sweep();
            }
        });
        if done.await.is_err() {
            tracing::error!("a round of housekeeping panicked");
        }
    }
}

/// Done when the process is asked to stop; renews the certificate on SIGHUP.
#[cfg(unix)]
async fn told_to_stop(tls: Option<Arc<Tls>>) {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    let take = |kind: SignalKind| -> Option<Signal> {
        signal(kind).inspect_err(|error| tracing::warn!(%error, "a signal cannot be received")).ok()
    };
    let (mut term, mut int, mut hup) =
        (take(SignalKind::terminate()), take(SignalKind::interrupt()), take(SignalKind::hangup()));
    async fn next(signal: &mut Option<Signal>) {
        match signal {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
    loop {
        tokio::select! {
            () = next(&mut term) => break,
            () = next(&mut int) => break,
            () = next(&mut hup) => match tls.as_ref().map(|tls| tls.renew()) {
                Some(Ok(())) => tracing::info!("the certificate was read again"),
                Some(Err(error)) => tracing::error!(%error, "the old certificate stays in use"),
                None => {}
            },
        }
    }
    tracing::info!("closing: finishing what is being written");
}

#[cfg(not(unix))]
async fn told_to_stop(_: Option<Arc<Tls>>) {
    let _ = tokio::signal::ctrl_c().await;
}

/// Where files have a limit (`ulimit -f`), the system ends a process that goes beyond it, unless it listens to the signal:
/// then the write fails as on a full disk. Listening once holds for good.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
fn live_with_file_limits() {
    const FILE_TOO_LARGE: i32 = 25;
    let kind = tokio::signal::unix::SignalKind::from_raw(FILE_TOO_LARGE);
    if let Err(error) = tokio::signal::unix::signal(kind) {
        tracing::warn!(%error, "a file that reaches the limit of this process will end it");
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos")))]
fn live_with_file_limits() {}

fn tell_warnings(loaded: &Loaded) {
    for warning in &loaded.warnings {
        if warning.is_note() {
            tracing::info!("{warning}");
        } else {
            tracing::warn!("{warning}");
        }
    }
}

/// Logs go to standard error and, if one is named, to a file. Standard output is for people: the address, and codes.
fn start_log(logging: &Logging) -> Result<()> {
    let level = match logging.min_log_level {
        LogLevel::Debug => "tavernkeep=debug,info",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    let filter = EnvFilter::try_from_env("TAVERNKEEP_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let console = layer(std::io::stderr, std::io::stderr().is_terminal(), logging.json);
    let file = logging
        .file()
        .map(|path| open_log(path).with_context(|| format!("Could not open the log file {}", shown(path))))
        .transpose()?
        .map(|file| layer(std::sync::Mutex::new(file), false, logging.json));
    let layers: Vec<_> = std::iter::once(console).chain(file).collect();
    // A second log in one process is a test's; the first one stays.
    let _ = tracing_subscriber::registry().with(layers).with(filter).try_init();
    Ok(())
}

type LogLayer = Box<dyn Layer<Registry> + Send + Sync>;

fn layer(writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static, colours: bool, json: bool) -> LogLayer {
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_target(false).with_ansi(colours);
    if json { layer.json().boxed() } else { layer.boxed() }
}
