//! A client of few words: HTTP/1.1 over one connection that is kept.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// A request as bytes, ready to be sent again and again.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if method != "GET" {
        text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    let mut bytes = (text + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// An answer as it came.
pub struct Answer {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a cookie that it sets, as `name=value`.
    pub fn cookie(&self, name_starts_with: &str) -> Option<&str> {
        let cookies = self.headers.iter().filter(|(name, _)| name == "set-cookie");
        let mut pairs = cookies.filter_map(|(_, value)| value.split(';').next());
        pairs.find(|pair| pair.starts_with(name_starts_with))
    }
}

/// How long the head of an answer is, and the body that it announces; `None` while the head is not whole.
pub fn measure(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..head])?;
    ensure!(text.starts_with("HTTP/1.1 2"), "the server refused: {}", String::from_utf8_lossy(bytes));
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok()).flatten()
    });
    Ok(Some((head, length.unwrap_or(0))))
}

/// Opens a connection that waits a minute at most.
pub fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).context("could not connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

/// Sends a request and reads its answer.
pub fn ask(stream: &mut TcpStream, request: &[u8]) -> Result<Answer> {
    stream.write_all(request)?;
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        if let Some((head, length)) = measure(&bytes)?
            && bytes.len() >= head + length
        {
            return parse(&bytes[..head], bytes[head..].to_vec());
        }
        match stream.read(&mut buffer)? {
            0 => bail!("the server hung up: {}", String::from_utf8_lossy(&bytes)),
            n => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Reads the head of an answer.
pub fn parse(head: &[u8], body: Vec<u8>) -> Result<Answer> {
    let headers = std::str::from_utf8(head)?
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Ok(Answer { headers, body })
}
