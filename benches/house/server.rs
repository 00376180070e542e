//! The real binary, in a folder of its own with thirty people.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;

use crate::http::{self, Answer};
use crate::process::Running;

/// People besides the first admin.
pub const PEOPLE: usize = 30;
/// Wrong tries are not what is measured here, and all load comes from one address.
const CONFIG: &str = "enableUserAccounts: true
rateLimiting:
  accountsLoginMaxAttempts: 0
";

/// A running house.
pub struct House {
    pub folder: TempDir,
    pub binary: PathBuf,
    pub address: SocketAddr,
    running: Option<Running>,
}

/// Somebody who is signed in.
pub struct Guest {
    cookie: String,
    token: String,
}

impl House {
    /// Builds a new house and lets people in.
    pub fn found() -> Result<Self> {
        Self::found_with("")
    }

    /// The same with more in its configuration.
    pub fn found_with(more: &str) -> Result<Self> {
        let binary = match std::env::var_os("TAVERNKEEP_BIN") {
            Some(named) => fs::canonicalize(named).context("TAVERNKEEP_BIN")?,
            None => env!("CARGO_BIN_EXE_tavernkeep").into(),
        };
        // Beside the build, not in /tmp, which may be memory: saving is compared on a disk.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        fs::write(folder.path().join("config.yaml"), format!("{CONFIG}{more}"))?;
        let mut house = Self { folder, binary, address: ([127, 0, 0, 1], 0).into(), running: None };
        house.open()?;
        let keeper = house.sign_in("default-user", "")?;
        for n in 0..PEOPLE {
            let body = json!({ "handle": handle(n), "name": format!("Guest {n}"), "password": password(n) });
            house.ask(&keeper, "POST", "/api/users/create", body.to_string().as_bytes())?;
        }
        Ok(house)
    }

    /// Starts the server; returns once it says where it is.
    pub fn open(&mut self) -> Result<()> {
        let mut command = self.command(&["--port", "0"]);
        let mut running = Running(command.stdout(Stdio::piped()).spawn().context("could not start the server")?);
        let mut line = String::new();
        let out = running.0.stdout.take().context("no output")?;
        // The pipe stays open for what else it says, which fits.
        let mut out = BufReader::new(out);
        out.read_line(&mut line)?;
        let address = line.split("http://").nth(1).and_then(|rest| rest.trim().trim_end_matches('/').parse().ok());
        self.address = address.with_context(|| format!("the server said {line:?}"))?;
        // Whoever reads nothing more must not break its pipe.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        self.running = Some(running);
        Ok(())
    }

    /// Stops the server as an administrator does.
    pub fn close(&mut self) -> Result<()> {
        self.running.take().map_or(Ok(()), Running::stop)
    }

    /// The program with this house's folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        let at = self.folder.path();
        command.arg("--config").arg(at.join("config.yaml")).arg("--data-root").arg(self.data()).args(arguments);
        command.current_dir(at).stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn user(&self, n: usize) -> PathBuf {
        self.data().join(handle(n))
    }

    /// A folder for a peer, on the same disk.
    pub fn beside(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().map_or(0, |running| running.0.id())
    }

    pub fn sign_in(&self, handle: &str, password: &str) -> Result<Guest> {
        let mut stream = http::connect(self.address)?;
        let visitor = self.visitor(&mut stream)?;
        let answer = http::ask(&mut stream, &visitor.sign_in_request(handle, password))?;
        let cookie = answer.cookie("session-").context("no session")?.to_owned();
        let token = token(&mut stream, &cookie)?.1;
        Ok(Guest { cookie, token })
    }

    /// Somebody at the door, with the cookie and the token that signing in takes.
    pub fn visitor(&self, stream: &mut TcpStream) -> Result<Guest> {
        let (answer, token) = token(stream, "")?;
        let cookie = answer.cookie("visitor-").context("no visitor's cookie")?.to_owned();
        Ok(Guest { cookie, token })
    }

    pub fn ask(&self, guest: &Guest, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        http::ask(&mut http::connect(self.address)?, &guest.request(method, path, body))
    }
}

impl Guest {
    pub fn request(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        http::request(method, path, &[("Cookie", &self.cookie), ("X-CSRF-Token", &self.token)], body)
    }

    pub fn sign_in_request(&self, handle: &str, password: &str) -> Vec<u8> {
        let body = json!({ "handle": handle, "password": password });
        self.request("POST", "/api/users/login", body.to_string().as_bytes())
    }
}

fn token(stream: &mut TcpStream, cookie: &str) -> Result<(Answer, String)> {
    let answer = http::ask(stream, &http::request("GET", "/csrf-token", &[("Cookie", cookie)], b""))?;
    let body: serde_json::Value = serde_json::from_slice(&answer.body)?;
    let token = body["token"].as_str().context("no token")?.to_owned();
    ensure!(!token.is_empty(), "an empty token");
    Ok((answer, token))
}

pub fn handle(n: usize) -> String {
    format!("guest-{n:02}")
}

pub fn password(n: usize) -> String {
    format!("the password of guest {n}")
}

/// The size of a file, in MB.
pub fn size(path: &Path) -> Result<f64> {
    Ok(fs::metadata(path)?.len() as f64 / 1e6)
}
