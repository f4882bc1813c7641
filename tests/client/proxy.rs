//! What stands between client and server: it can cut the line, fall silent, and shorten the time that
//! the server grants, so that a test need not wait for minutes.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::Server;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    Open,
    /// Connections break, and new ones as well.
    Cut,
    /// Connections are made, and nothing ever comes back.
    Silent,
}

/// The times that are told to the client, in seconds; the server keeps to its own.
#[derive(Clone, Copy)]
pub struct Pace {
    pub ttl_s: u64,
    pub interval_s: u64,
}

pub const FAST: Pace = Pace { ttl_s: 6, interval_s: 1 };

pub struct Proxy {
    pub url: String,
    upstream: Arc<Mutex<String>>,
    line: watch::Sender<Line>,
}

impl Proxy {
    /// In front of a server, which may be restarted meanwhile.
    pub async fn start(server: &Server, pace: Pace) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstream = Arc::new(Mutex::new(server.address.clone()));
        let (line, watched) = watch::channel(Line::Open);
        let to = Arc::clone(&upstream);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (to, watched) = (to.lock().clone(), watched.clone());
                tokio::spawn(async move { carry(client, to, watched, pace).await });
            }
        });
        Self { url, upstream, line }
    }

    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    /// From now on it leads to this server.
    pub fn lead_to(&self, server: &Server) {
        server.address.clone_into(&mut self.upstream.lock());
    }
}

async fn carry(mut client: TcpStream, to: String, mut line: watch::Receiver<Line>, pace: Pace) {
    if *line.borrow() == Line::Cut {
        return;
    }
    let Ok(mut server) = TcpStream::connect(to).await else { return };
    let (mut asked, mut answered) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(bytes) if bytes > 0 => if server.write_all(&asked[..bytes]).await.is_err() { return },
                _ => return,
            },
            read = server.read(&mut answered) => match read {
                Ok(bytes) if bytes > 0 => {
                    if *line.borrow() == Line::Silent {
                        continue;
                    }
                    let told = shortened(&answered[..bytes], pace);
                    if client.write_all(&told).await.is_err() { return }
                }
                _ => return,
            },
            _ = line.changed() => if *line.borrow() == Line::Cut { return },
        }
    }
}

/// The answer with other times, and as long as it was.
fn shortened(answer: &[u8], pace: Pace) -> Vec<u8> {
    let Ok(text) = str::from_utf8(answer) else { return answer.to_owned() };
    let told = |name: &str, seconds: u64| format!("\"{name}\":{seconds:3}");
    text.replace(&told("expires_in", 360), &told("expires_in", pace.ttl_s))
        .replace(&told("heartbeat_interval", 300), &told("heartbeat_interval", pace.interval_s))
        .into_bytes()
}
