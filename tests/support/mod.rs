//! A house to test in: the real server on a free port over a temporary folder, with guests that speak HTTP to it through
//! real sockets, and a look at the files it leaves.

#![allow(dead_code, unused_imports, reason = "each test crate uses a part of this")]

pub mod client;
pub mod events;
pub mod files;
pub mod model;
pub mod program;
pub mod zips;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tavernkeep::app::{App, Opens};
use tavernkeep::config::Config;
use tavernkeep::http::tls::Tls;
use tavernkeep::http::{State, serve};
use tavernkeep::store::Faults;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

pub use client::{Answer, Guest, Request};
pub use files::Tree;
pub use model::{Ending, FakeModel, Instead, Speaks};
pub use program::Program;

/// The account that every house has: an admin, at first without a password.
pub const OWNER: &str = "default-user";

/// Threads on which a house waits for the disk: few, so that a test can find out what keeps them.
pub const BLOCKING_THREADS: usize = 64;

/// The password of everybody who moves in through [`TestHouse::moves_in`].
pub fn password_of(handle: &str) -> String {
    format!("{handle} likes cardamom")
}

/// A running server on a data folder of its own.
pub struct TestHouse {
    running: Option<Running>,
    config: Config,
    folder: tempfile::TempDir,
}

struct Running {
    app: Arc<App>,
    tls: Option<Arc<Tls>>,
    address: SocketAddr,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
    runtime: Runtime,
}

impl TestHouse {
    /// A house with accounts, as the shipped configuration has it otherwise.
    pub fn open() -> Self {
        Self::with(|_| {})
    }

    /// A house that is configured otherwise.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), None, change)
    }

    /// A house on a disk that fails as `faults` say.
    pub fn on_failing_disk(faults: &Arc<Faults>) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), Some(Arc::clone(faults)), |_| {})
    }

    /// A house in a folder that has been prepared: its data are in `data` below it.
    pub fn in_folder(folder: tempfile::TempDir, faults: Option<Arc<Faults>>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::for_testing(folder.path().join("data"));
        config.enable_user_accounts = true;
        change(&mut config);
        let running = Some(Running::start(config.clone(), faults, folder.path()));
        Self { running, config, folder }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the house is open")
    }

    /// Closes the house in an orderly way and opens it again, with another configuration.
    pub fn reopen(&mut self, change: impl FnOnce(&mut Config)) {
        self.running = None;
        change(&mut self.config);
        self.running = Some(Running::start(self.config.clone(), None, self.folder.path()));
    }

    /// The house from inside, to prepare what cannot be done through the door.
    pub fn app(&self) -> &Arc<App> {
        &self.running().app
    }

    /// The certificate in use.
    pub fn tls(&self) -> &Arc<Tls> {
        self.running().tls.as_ref().expect("the house has a certificate")
    }

    /// Where the house listens.
    pub fn address(&self) -> SocketAddr {
        self.running().address
    }

    /// Somebody who is not signed in.
    pub fn anonymous(&self) -> Guest {
        Guest::new(self.address())
    }

    /// Whoever has this handle, signed in with [`password_of`] it.
    pub fn signed_in(&self, handle: &str) -> Guest {
        let guest = self.anonymous();
        guest.signs_in(handle, &password_of(handle)).expect(200);
        guest
    }

    /// The first account, an admin, signed in. It has no password.
    pub fn owner(&self) -> Guest {
        let guest = self.anonymous();
        guest.signs_in(OWNER, "").expect(200);
        guest
    }

    /// Makes an ordinary user and signs them in.
    pub fn moves_in(&self, handle: &str) -> Guest {
        self.has(handle);
        self.signed_in(handle)
    }

    /// Makes an ordinary user.
    pub fn has(&self, handle: &str) {
        let body = json!({ "handle": handle, "name": title(handle), "password": password_of(handle) });
        self.owner().post("/api/v1/users", body).expect(201);
    }

    /// Gives somebody a role.
    pub fn appoints(&self, handle: &str, role: &str) {
        self.owner().patch(&format!("/api/v1/users/{handle}"), json!({ "role": role })).expect(200);
    }

    /// Makes a user in this role and signs them in.
    pub fn moves_in_as(&self, handle: &str, role: &str) -> Guest {
        self.has(handle);
        self.appoints(handle, role);
        self.signed_in(handle)
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.config.data_root
    }

    /// A temporary folder beside the data folder.
    pub fn beside(&self) -> &Path {
        self.folder.path()
    }

    /// A path below the data folder.
    pub fn path(&self, below: &str) -> PathBuf {
        self.data().join(below)
    }

    /// A file's bytes.
    pub fn file(&self, below: &str) -> Vec<u8> {
        std::fs::read(self.path(below)).unwrap_or_else(|error| panic!("{below}: {error}"))
    }

    /// A file's JSON.
    pub fn json_file(&self, below: &str) -> Value {
        serde_json::from_slice(&self.file(below)).unwrap()
    }

    /// Somebody's settings on the disk.
    pub fn settings_of(&self, handle: &str) -> Value {
        self.json_file(&format!("{handle}/settings.json"))
    }

    /// The names of somebody's snapshots on the disk, the oldest name first.
    pub fn snapshots_of(&self, handle: &str) -> Vec<String> {
        let prefix = format!("settings_{handle}_");
        files::names_in(&self.path(&format!("{handle}/backups")))
            .into_iter()
            .filter(|n| n.starts_with(&prefix))
            .collect()
    }

    /// Every file of the data folder as it is now.
    pub fn tree(&self) -> Tree {
        Tree::of(self.data())
    }

    /// The audit log's entries of this kind.
    pub fn events(&self, name: &str) -> Vec<Value> {
        let (lines, _) = self.app().events.page(None, 10_000).unwrap();
        let all = lines.into_iter().map(|line| serde_json::to_value(line).unwrap());
        all.filter(|line| line["event"] == name).collect()
    }
}

impl Drop for TestHouse {
    fn drop(&mut self) {
        self.running = None;
    }
}

impl Running {
    fn start(config: Config, faults: Option<Arc<Faults>>, beside: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(BLOCKING_THREADS)
            .enable_all()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let tls = Tls::from_config(&config.ssl).unwrap();
        let app = Arc::new(
            App::open(config, Opens { serve: true, faults, notes: Some(beside.to_owned()), ..Opens::default() })
                .unwrap(),
        );
        let stop = CancellationToken::new();
        let state = State::new(Arc::clone(&app), CancellationToken::new()).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let told = stop.clone().cancelled_owned();
        let served = runtime.spawn(serve::run(state, vec![listener], tls.clone(), told));
        drop(_inside);
        Self { app, tls, address, stop, served, runtime }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        let served = &mut self.served;
        let ended = self.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(2), served).await });
        if !std::thread::panicking() {
            // A guest that still holds a socket is not waited for.
            if let Ok(ended) = ended {
                ended.unwrap().unwrap();
            }
        }
    }
}

/// A handle as a name for people.
pub fn title(handle: &str) -> String {
    let mut letters = handle.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Waits until something is so, for at most ten seconds.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(10), "it took too long until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
