//! As much of HTTP/1.1 as driving a server takes: one request at a time on a kept connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Writes a request whole, so that it leaves in one piece.
pub fn write_request(
    out: &mut Vec<u8>,
    method: &str,
    path: &str,
    bearer: Option<&str>,
    body: &str,
) {
    out.clear();
    let length = body.len();
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    );
    if let Some(token) = bearer {
        let _ = write!(out, "authorization: Bearer {token}\r\n");
    }
    let _ = write!(out, "content-length: {length}\r\n\r\n{body}");
}

const NAME: &[u8] = b"content-length: ";

/// Where an answer's body begins and ends, and its status; `None` while it is not whole.
fn parse(bytes: &[u8]) -> Option<(u16, usize, usize)> {
    let head_end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let status = std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()?;
    let length = bytes[..head_end]
        .windows(NAME.len())
        .position(|name| name.eq_ignore_ascii_case(NAME))
        .map_or(0, |at| {
            let digits = bytes[at + NAME.len()..].iter().take_while(|byte| byte.is_ascii_digit());
            digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
        });
    (bytes.len() >= head_end + length).then_some((status, head_end, head_end + length))
}

/// A kept connection.
pub struct Connection {
    stream: tokio::net::TcpStream,
    read: Vec<u8>,
}

impl Connection {
    /// Connects without Nagle's delay.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(8 * 1024) })
    }

    /// Sends a request and waits for its answer: the status and the body.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.read.clear();
        loop {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some((status, from, to)) = parse(&self.read) {
                return Ok((status, &self.read[from..to]));
            }
        }
    }
}

/// One request on a connection of its own, for preparing: the status and the JSON of the answer.
pub fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    bearer: Option<&str>,
    body: &str,
) -> io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(address)?;
    let (mut request, mut answer, mut part) = (Vec::new(), Vec::new(), [0; 16 * 1024]);
    write_request(&mut request, method, path, bearer, body);
    stream.write_all(&request)?;
    loop {
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&part[..read]);
        if let Some((status, from, to)) = parse(&answer) {
            return Ok((status, serde_json::from_slice(&answer[from..to]).unwrap_or(Value::Null)));
        }
    }
}
