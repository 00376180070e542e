//! Hostile addresses, and the client against real sockets.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use rstest::rstest;

use super::*;
use crate::config::PrivateHosts;

fn egress(private: &[&str]) -> Egress {
    Egress::new(Rules { private: PrivateHosts::parse(private).unwrap(), alone: false })
}

fn get(target: &str) -> Request {
    let (target, patience) = (Target::parse(target).unwrap(), Duration::from_secs(20));
    Request { method: Method::GET, target, headers: HeaderMap::new(), body: None, patience }
}

/// Every way to write an address that is not to be reached, in a URL.
#[rstest]
#[case("127.0.0.1")]
#[case("127.1")]
#[case("127.0.1")]
#[case("2130706433")]
#[case("0x7f000001")]
#[case("0x7f.0.0.1")]
#[case("0177.1")]
#[case("0177.0.0.01")]
#[case("127.0.0.1.")]
#[case("%31%32%37.0.0.1")]
#[case("１２７.0.0.1")]
#[case("127。0。0。1")]
#[case("localhost")]
#[case("LOCALHOST")]
#[case("[::1]")]
#[case("[0:0:0:0:0:0:0:1]")]
#[case("[::ffff:127.0.0.1]")]
#[case("[::ffff:7f00:1]")]
#[case("[::127.0.0.1]")]
#[case("[64:ff9b::7f00:1]")]
#[case("[64:ff9b::127.0.0.1]")]
#[case("[2002:7f00:1::]")]
#[case("0.0.0.0")]
#[case("0")]
#[case("[::]")]
#[case("10.0.0.1")]
#[case("172.16.0.1")]
#[case("192.168.1.1")]
#[case("3232235777")]
#[case("100.64.0.1")]
#[case("169.254.169.254")]
#[case("0xa9fea9fe")]
#[case("2852039166")]
#[case("[fe80::1]")]
#[case("[fd00::1]")]
#[case("[fd00:ec2::254]")]
#[case("100.100.100.200")]
#[case("168.63.129.16")]
#[case("224.0.0.1")]
#[case("255.255.255.255")]
#[tokio::test]
async fn what_is_private_is_refused_however_it_is_written(#[case] host: &str) {
    for scheme in ["http", "https"] {
        let failure = egress(&[]).send(Reach::Own, get(&format!("{scheme}://{host}:9/"))).await.err().unwrap();
        assert!(matches!(failure, Failure::Refused { .. }), "{host}: {failure}");
    }
}

#[rstest]
#[case("")]
#[case("lamp.example")]
#[case("ftp://lamp.example")]
#[case("file:///etc/passwd")]
#[case("gopher://lamp.example")]
#[case("javascript:alert(1)")]
#[case("http://")]
#[case("http://user@lamp.example")]
#[case("http://user:secret@lamp.example")]
#[case("http://@lamp.example")]
#[case("http://8.8.8.8@127.0.0.1/")]
#[case("http://lamp.example#@127.0.0.1/")]
#[case("http://lamp.example\r\nX-Evil: 1")]
#[case("http://lamp.example/\tx")]
#[case("http://lamp .example")]
#[case("http:\\\\lamp.example")]
#[case("http://lamp.example\\@127.0.0.1")]
#[case("http://lamp.example:99999")]
#[case("http://256.0.0.1")]
#[case("http://[::1")]
#[case("http://[fe80::1%25eth0]")]
#[case("http://${LAMP}/")]
#[case("http://{{user.key}}/")]
#[case("http://lamp.example\u{0}")]
fn what_is_no_address_is_refused(#[case] text: &str) {
    let error = Target::parse(text).unwrap_err();
    assert_eq!(error.code(), "bad_address");
    assert!(!error.message().contains("secret"));
}

#[test]
fn nothing_is_filled_in() {
    let target = Target::parse("http://lamp.example/${HOME}/{{user.key}}").unwrap();
    assert_eq!(target.segments(), ["$%7BHOME%7D", "%7B%7Buser.key%7D%7D"]);
    assert_eq!(target.with_segments(["a/b", "..", "c?d"]).segments(), ["a%2Fb", "c%3Fd"]);
}

/// Answers once with these bytes; gives the port.
fn once(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(answer).unwrap();
    });
    port
}

#[tokio::test]
async fn what_is_allowed_is_reached_by_address_and_by_name() {
    for host in ["127.0.0.1", "localhost", "2130706433"] {
        let port = once(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
        let egress = egress(&[&format!("127.0.0.1:{port}")]);
        let answer = egress.send(Reach::Own, get(&format!("http://{host}:{port}/"))).await.unwrap();
        assert_eq!(answer.whole(Duration::from_secs(20)).await.unwrap(), b"hi", "{host}");
        let other = egress.send(Reach::Own, get(&format!("http://{host}:9/"))).await.err().unwrap();
        assert!(matches!(other, Failure::Refused { .. }), "{other}");
    }
}

#[tokio::test]
async fn a_connection_that_was_opened_for_an_admin_is_not_used_for_others() {
    let port = once(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    let egress = egress(&[]);
    let address = format!("http://localhost:{port}/");
    egress.send(Reach::House, get(&address)).await.unwrap().whole(Duration::from_secs(20)).await.unwrap();
    let failure = egress.send(Reach::Own, get(&address)).await.err().unwrap();
    assert!(matches!(failure, Failure::Refused { allowable: true, .. }), "{failure}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let secret = TcpListener::bind("127.0.0.1:0").unwrap();
    secret.set_nonblocking(true).unwrap();
    let elsewhere = secret.local_addr().unwrap();
    let moved = format!("HTTP/1.1 302 Found\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\n\r\n");
    let port = once(moved.into_bytes().leak());
    let answer = egress(&["*"]).send(Reach::Own, get(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
    assert_eq!(answer.status, 302);
    assert!(secret.accept().is_err());
}

#[tokio::test]
async fn what_went_wrong_is_told_apart() {
    let egress = egress(&["*"]);
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failure = egress.send(Reach::Own, get(&format!("http://{gone}/"))).await.err().unwrap();
    assert_eq!(failure, Failure::NobodyThere);
    let failure = egress.send(Reach::Own, get("http://lamp.invalid/")).await.err().unwrap();
    assert_eq!(failure, Failure::UnknownName("lamp.invalid".into()));
    let plain = once(b"HTTP/1.1 200 OK\r\n\r\n");
    let failure = egress.send(Reach::Own, get(&format!("https://127.0.0.1:{plain}/"))).await.err().unwrap();
    assert!(matches!(failure, Failure::Tls(_) | Failure::Unreachable(_) | Failure::Broken(_)), "{failure}");
}

#[tokio::test]
async fn a_body_has_its_limit() {
    let port = once(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789");
    let answer = egress(&["*"]).send(Reach::Own, get(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
    let body = answer.at_most(8).whole(Duration::from_secs(20)).await;
    assert_eq!(body, Err(Failure::TooMuch(8)));
}

#[tokio::test]
async fn a_silent_one_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let request = get(&format!("http://{}/", listener.local_addr().unwrap()));
    let request = Request { patience: Duration::from_millis(100), ..request };
    assert_eq!(egress(&["*"]).send(Reach::Own, request).await.err(), Some(Failure::Silence));
}
