//! The accept loop: sockets, TLS, limits on both, and an orderly end.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_service::Service;
use warp::Filter;

use super::dispatch;
use super::peer::Arrival;
use super::reply::Reply;
use super::shares::{Share, Shares};
use super::state::State;
use super::tls::Tls;
use crate::accounts::limits::Network;

/// Connections at once.
const CONNECTIONS: usize = 2_048;
/// Of these, from one network.
const PER_NETWORK: usize = 256;
/// Of these, from a proxy of ours, which stands for many people.
const PER_PROXY: usize = 1_536;
/// A client gets so long to send a request's head, and to think between two requests.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// A client gets so long to agree on encryption.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// When stopping, requests get so long to end.
const LAST_ORDERS: Duration = Duration::from_secs(10);
/// When stopping, replies get so long to come to their end by themselves.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// The head of a request, in bytes.
const HEAD_SIZE: usize = 64 * 1024;

/// Serves `state` on `listeners` until `stop` is done; then finishes what is being answered.
pub async fn run(
    state: Arc<State>,
    listeners: Vec<TcpListener>,
    tls: Option<Arc<Tls>>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let server = Arc::new(Server {
        connections: Arc::new(Semaphore::new(CONNECTIONS)),
        networks: Shares::new(CONNECTIONS),
        graceful: GracefulShutdown::new(),
        builder: builder(),
        state: Arc::clone(&state),
        tls,
    });
    let accepting: Vec<_> =
        listeners.into_iter().map(|listener| tokio::spawn(Arc::clone(&server).accept(listener))).collect();
    stop.await;
    state.stopping.cancel();
    for task in &accepting {
        task.abort();
    }
    for task in accepting {
        let _ = task.await;
    }
    // Meanwhile whoever follows a reply is told how it ends; requests end by themselves.
    state.app.talk.close(LAST_WORDS).await;
    let end = async {
        // If a connection is being set up at this very moment, it has nothing to lose.
        if let Ok(server) = Arc::try_unwrap(server) {
            server.graceful.shutdown().await;
        }
        // Whoever hung up left work behind.
        state.work.close();
        state.work.wait().await;
    };
    if tokio::time::timeout(LAST_ORDERS, end).await.is_err() {
        tracing::warn!("some requests did not end in time and are cut");
    }
    Ok(())
}

struct Server {
    connections: Arc<Semaphore>,
    networks: Shares<Network>,
    graceful: GracefulShutdown,
    builder: auto::Builder<TokioExecutor>,
    state: Arc<State>,
    tls: Option<Arc<Tls>>,
}

/// What a connection carries along while it lives.
struct Guest {
    state: Arc<State>,
    builder: auto::Builder<TokioExecutor>,
    watcher: Watcher,
    socket: SocketAddr,
    _place: OwnedSemaphorePermit,
    _share: Share<Network>,
}

impl Server {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            // Nobody is turned away while the house is full; they wait at the door, in the kernel's queue.
            let Ok(place) = Arc::clone(&self.connections).acquire_owned().await else { return };
            let (stream, socket) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Out of file handles, most likely; others are about to end.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let by_proxy = self.state.app.config.sso.trusted_proxies.contains(socket.ip().to_canonical());
            let most = if by_proxy { PER_PROXY } else { PER_NETWORK };
            let Some(share) = self.networks.take(Network::of(socket.ip()), most) else {
                tracing::debug!(%socket, "too many connections from one network");
                continue;
            };
            let guest = Guest {
                state: Arc::clone(&self.state),
                builder: self.builder.clone(),
                watcher: self.graceful.watcher(),
                socket,
                _place: place,
                _share: share,
            };
            let tls = self.tls.clone();
            tokio::spawn(async move { guest.welcome(stream, tls).await });
        }
    }
}

impl Guest {
    async fn welcome(self, stream: TcpStream, tls: Option<Arc<Tls>>) {
        // Only a matter of speed; a socket that refuses works as well.
        let _ = stream.set_nodelay(true);
        match tls {
            None => self.talk(stream, false, false).await,
            Some(tls) => match tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    self.talk(stream, true, http2).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, socket = %self.socket, "no agreement on encryption"),
                Err(_) => tracing::debug!(socket = %self.socket, "no agreement on encryption in time"),
            },
        }
    }

    /// Which protocol is spoken was agreed on, or goes without saying: guessing it from the first bytes would mean to wait
    /// for them without end.
    async fn talk(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, tls: bool, http2: bool) {
        let Self { state, builder, watcher, socket, _place, _share } = self;
        let warp = warp::service(dispatch::filter(state).recover(dispatch::last_resort));
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            let arrival = Arrival { socket, tls, method: request.method().clone(), uri: request.uri().clone() };
            request.extensions_mut().insert(arrival);
            let answer = warp.clone().call(request);
            async move { Ok::<Reply, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
        });
        let builder = if http2 { builder.http2_only() } else { builder.http1_only() };
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection.into_owned()).await {
            tracing::debug!(%error, %socket, "a connection ended badly");
        }
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_SIZE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .max_header_list_size(HEAD_SIZE as u32)
        .keep_alive_interval(HEAD_TIME)
        .keep_alive_timeout(HEAD_TIME);
    builder
}
