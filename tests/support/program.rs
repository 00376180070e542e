//! The real program as a process: for what can only be seen from outside, such as its console, signals and a sudden end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Guest, eventually};

/// A running server in a process of its own, with its data in `data` below its folder.
pub struct Program {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
    console: Lines,
    log: Lines,
}

type Lines = Arc<Mutex<Vec<String>>>;

/// The program, to be run in `folder`, with quick passwords and accounts; nothing else of the environment is passed on.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tavernkeep"));
    command.args(arguments);
    prepared(command, folder)
}

fn prepared(mut command: Command, folder: &Path) -> Command {
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    command.env("TAVERNKEEP_PASSWORDS_BCRYPT_COST", "4").env("TAVERNKEEP_ENABLE_USER_ACCOUNTS", "true");
    command
}

/// Runs a command to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Ran {
    Ran::of(command(folder, arguments).output().unwrap())
}

/// Runs a command with a text on its standard input.
pub fn run_with_input(folder: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut command = command(folder, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Ran::of(child.wait_with_output().unwrap())
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    pub out_bytes: Vec<u8>,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            out_bytes: output.stdout,
        }
    }

    /// What it said, if it ended with this exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Fails the test unless standard error has all these pieces.
    #[track_caller]
    pub fn says(self, pieces: &[&str]) -> Self {
        for piece in pieces {
            assert!(self.err.contains(piece), "\"{piece}\" is not in:\n{}", self.err);
        }
        self
    }
}

impl Program {
    /// Starts a server in `folder`.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[], &[])
    }

    /// Starts a server with more arguments and environment variables, and waits until it is open.
    pub fn start_with(folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = command(folder, &["--port", "0"]);
        command.args(arguments).envs(env.iter().copied());
        Self::launch(folder, command)
    }

    /// Starts a server that may write files of so many blocks (of 512 or 1024 bytes), and none that are larger.
    pub fn start_with_file_limit(folder: &Path, blocks: u32) -> Self {
        let mut command = Command::new("/bin/sh");
        let script = format!("ulimit -f {blocks} && exec \"$0\" --port 0");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_tavernkeep")]);
        Self::launch(folder, prepared(command, folder))
    }

    fn launch(folder: &Path, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let console = collect(child.stdout.take().unwrap());
        let log = collect(child.stderr.take().unwrap());
        let started = Instant::now();
        let address = loop {
            let open = console.lock().unwrap().iter().find_map(|line| address_in(line));
            if let Some(address) = open {
                break address;
            }
            let ended = child.try_wait().unwrap();
            let waited = started.elapsed() > Duration::from_secs(20);
            assert!(ended.is_none() && !waited, "it did not open ({ended:?}): {:#?}", log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(5));
        };
        Self { child, folder: folder.to_owned(), address, console, log }
    }

    /// Somebody who is not signed in.
    pub fn anonymous(&self) -> Guest {
        Guest::new(self.address)
    }

    /// The first account, signed in without a password.
    pub fn owner(&self) -> Guest {
        let guest = self.anonymous();
        guest.signs_in(super::OWNER, "").expect(200);
        guest
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The newest code on its console that was not there when `before` lines were; waits for it.
    pub fn code_after(&self, before: usize) -> String {
        let mut code = None;
        eventually("a code is on the console", || {
            let console = self.console.lock().unwrap();
            code = console.iter().skip(before).find_map(|line| Some(line.split_once("code is: ")?.1.to_owned()));
            code.is_some()
        });
        code.unwrap()
    }

    /// How many lines are on its console.
    pub fn console_lines(&self) -> usize {
        self.console.lock().unwrap().len()
    }

    /// All that it wrote to standard output so far.
    pub fn console(&self) -> String {
        self.console.lock().unwrap().join("\n")
    }

    /// All that it wrote to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut ends a process.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Asks it to stop, and waits.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = line.strip_prefix("Tavernkeep is open at ")?;
    rest.split_once("://")?.1.trim_end_matches('/').parse().ok()
}

fn collect(from: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let into = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            into.lock().unwrap().push(line);
        }
    });
    lines
}
