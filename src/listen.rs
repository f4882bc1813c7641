//! Connections within bounds: so many at once, and none that nobody uses.
//!
//! The framework's own idle time-out wakes a task at every read and write of a
//! connection. Here a busy connection only notes the time; its timer looks at the
//! note when it fires.
//!
//! HTTP/2 in clear text is refused: no browser speaks it, proxies need not, and one connection of it holds the
//! memory of many.
//!
//! Whoever closes a connection before the answer has left: the request is dropped. That is also how
//! a connection is taken that was closed for sending alone.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::services::Ending;

/// How long a connection is waited for.
#[derive(Clone, Debug)]
pub struct Patience {
    /// For the first byte of a new one.
    silent: Duration,
    /// For the next request on one that was answered: longer than the pause between heartbeats.
    idle: Duration,
    /// From the first byte of a request to its answer, however slowly it comes.
    request: Duration,
    /// Has more than one holder while an operation runs that takes long.
    long_work: Weak<()>,
    /// Why the server ends, once it does.
    ending: watch::Receiver<Option<Ending>>,
}

impl Patience {
    /// `request`: the longest that a request may take to arrive and be answered, unless somebody
    /// beside its owner holds `long_work`. Which connection waits for that is not known here, so none is
    /// given up meanwhile.
    pub fn new(
        request: Duration,
        long_work: &Arc<()>,
        ending: watch::Receiver<Option<Ending>>,
    ) -> Self {
        let (silent, idle) = (Duration::from_secs(30), Duration::from_mins(6));
        Self { silent, idle, request, long_work: Arc::downgrade(long_work), ending }
    }

    /// Whether a request that was begun then is waited for no longer.
    fn ends(&self, asked: Instant) -> bool {
        asked.elapsed() > self.request && self.long_work.strong_count() <= 1
    }
}

/// How a client begins that takes HTTP/2 for granted (RFC 9113, section 3.4), as far as it need be known.
const HTTP2: &[u8] = b"PRI * HTTP/2";

/// How long, after an answer, what a client still sends is read before its connection is closed. Closing at
/// once would reset it, and the client, still sending a body that was refused, would never read why.
const LINGER: Duration = Duration::from_secs(2);
/// How often it is looked whether what takes long is over.
const LOOK: Duration = Duration::from_secs(5);
/// Pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(20);

/// Accepts at most so many connections at once; further ones wait in the kernel's queue.
pub struct Bounded<A> {
    inner: A,
    places: Arc<Semaphore>,
    patience: Patience,
}

impl<A> Bounded<A> {
    /// Bounds an acceptor.
    pub fn new(inner: A, connections_max: u32, patience: Patience) -> Self {
        Self { inner, places: Arc::new(Semaphore::new(connections_max as usize)), patience }
    }
}

impl<A: Acceptor> Acceptor for Bounded<A> {
    type Io = Connection<A::Io>;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.inner.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)?;
        match self.inner.accept().await {
            Ok((io, local, remote, scheme)) => {
                Ok((Connection::new(io, place, self.patience.clone()), local, remote, scheme))
            }
            Err(error) => {
                // Without a file descriptor to spare every attempt fails at once, and the server
                // tries again at once.
                tokio::time::sleep(PAUSE).await;
                Err(error)
            }
        }
    }
}

/// A connection that gives its place back when it ends, and ends when nobody uses it.
pub struct Connection<Io> {
    io: Io,
    /// When it was answered last; at first, when it began.
    answered: Instant,
    /// When the first byte since then came.
    asked: Option<Instant>,
    fresh: bool,
    patience: Patience,
    timer: Pin<Box<Sleep>>,
    /// How much of [`HTTP2`] the connection has begun with; none: it has begun with something else.
    preface: Option<usize>,
    /// That this side has said it sends no more.
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl<Io> Connection<Io> {
    fn new(io: Io, place: OwnedSemaphorePermit, patience: Patience) -> Self {
        let answered = Instant::now();
        let timer = Box::pin(sleep_until(answered + patience.silent));
        Self {
            io,
            answered,
            asked: None,
            fresh: true,
            patience,
            timer,
            preface: Some(0),
            ended: false,
            _place: place,
        }
    }

    /// Whether these bytes, which came next, make it one of HTTP/2.
    fn begins_http2(&mut self, bytes: &[u8]) -> bool {
        let Some(known) = self.preface else { return false };
        let expected = &HTTP2[known..];
        let count = bytes.len().min(expected.len());
        self.preface = (bytes[..count] == expected[..count]).then_some(known + count);
        self.preface == Some(HTTP2.len())
    }

    /// When it is waited for no longer.
    fn end(&self) -> Instant {
        match self.asked {
            Some(asked) => asked + self.patience.request,
            None if self.fresh => self.answered + self.patience.silent,
            None => self.answered + self.patience.idle,
        }
    }

    fn was_answered(&mut self) {
        (self.answered, self.asked, self.fresh) = (Instant::now(), None, false);
    }

    /// Ready when the connection has not been used for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let mut end = self.end();
            if end <= now {
                if self.asked.is_none_or(|asked| self.patience.ends(asked)) {
                    return Poll::Ready(());
                }
                end = now + LOOK.min(self.patience.request);
            }
            self.timer.as_mut().reset(end);
        }
    }
}

impl<Io: AsyncRead + Unpin> Connection<Io> {
    /// Ready when the client has closed as well, or was answered long enough ago.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 8192];
        while self.timer.as_mut().poll(cx).is_pending() {
            let mut unread = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut unread)) {
                Ok(()) if !unread.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Connection<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        match Pin::new(&mut this.io).poll_read(cx, buffer) {
            Poll::Ready(done) => {
                let gone = done.is_ok() && buffer.filled().len() == before;
                if gone && this.asked.is_some() {
                    // The framework takes an end here for one half of the connection and goes on with
                    // the request: a place in line would get a seat that nobody knows of.
                    return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                }
                if this.begins_http2(&buffer.filled()[before..]) {
                    return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
                }
                let asked = *this.asked.get_or_insert_with(Instant::now);
                // Bytes that go on coming do not make a request that takes too long shorter.
                if this.patience.ends(asked) {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Poll::Ready(done)
            }
            Poll::Pending => this.poll_idle(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match Pin::new(&mut this.io).poll_write(cx, bytes) {
            Poll::Ready(done) => {
                this.was_answered();
                Poll::Ready(done)
            }
            // A client that does not read its answer holds its place no longer than an idle one.
            Poll::Pending => this.poll_idle(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.ended {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            this.ended = true;
            this.timer.as_mut().reset(this.answered + LINGER);
        }
        if this.patience.ending.borrow().is_some() {
            return Poll::Ready(Ok(()));
        }
        this.poll_linger(cx).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match Pin::new(&mut this.io).poll_write_vectored(cx, bytes) {
            Poll::Ready(done) => {
                this.was_answered();
                Poll::Ready(done)
            }
            Poll::Pending => this.poll_idle(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const SHORT: Duration = Duration::from_millis(60);
    const LONG: Duration = Duration::from_secs(3);

    fn patience(silent: Duration, idle: Duration, request: Duration) -> Patience {
        Patience { silent, idle, request, long_work: Weak::new(), ending: watch::channel(None).1 }
    }

    async fn connection(patience: Patience) -> (Connection<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(64);
        let place = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        (Connection::new(ours, place, patience), theirs)
    }

    #[tokio::test]
    async fn whoever_sends_a_byte_at_a_time_is_not_waited_for_for_ever() {
        let (mut connection, mut client) = connection(patience(LONG, LONG, SHORT)).await;
        let began = Instant::now();
        let slow = tokio::spawn(async move {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(SHORT / 4).await;
            }
        });
        while connection.read_u8().await.is_ok() {}
        assert!(began.elapsed() >= SHORT && began.elapsed() < LONG);
        drop(connection);
        slow.await.unwrap();
    }

    #[tokio::test]
    async fn whoever_says_nothing_is_not_waited_for_for_ever() {
        let (mut connection, _client) = connection(patience(SHORT, LONG, LONG)).await;
        let ended = connection.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }

    /// A request that comes at the end of a pause may take as long as any other.
    #[tokio::test]
    async fn a_request_after_a_pause_has_its_full_time() {
        let (mut connection, mut client) = connection(patience(LONG, SHORT, LONG)).await;
        client.write_all(b"1").await.unwrap();
        connection.read_u8().await.unwrap();
        connection.write_all(b"2").await.unwrap();
        tokio::time::sleep(SHORT / 2).await;
        client.write_all(b"3").await.unwrap();
        connection.read_u8().await.unwrap();
        let nothing = tokio::time::timeout(SHORT * 3, connection.read_u8()).await;
        assert!(nothing.is_err(), "it is still being answered");
        connection.write_all(b"4").await.unwrap();
        let ended = connection.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut, "and idle afterwards");
    }

    /// A body that was refused is still on its way when the answer is.
    #[tokio::test]
    async fn what_still_comes_after_the_answer_is_read() {
        let (mut connection, mut client) = connection(patience(LONG, LONG, LONG)).await;
        connection.write_all(b"no").await.unwrap();
        let closing = tokio::spawn(async move { connection.shutdown().await });
        client.write_all(&[b'x'; 10_000]).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"no");
        drop(client);
        closing.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_was_idle_is_closed_at_once() {
        let (mut connection, _client) = connection(patience(LONG, LONG, LONG)).await;
        connection.answered = Instant::now().checked_sub(LINGER).unwrap();
        let began = Instant::now();
        connection.shutdown().await.unwrap();
        assert!(began.elapsed() < LINGER / 2);
    }

    #[tokio::test]
    async fn what_takes_long_is_waited_for_until_it_is_over() {
        let long_work = Arc::new(());
        let patience =
            Patience { long_work: Arc::downgrade(&long_work), ..patience(LONG, LONG, SHORT) };
        let (mut connection, mut client) = connection(patience).await;
        client.write_all(b"1").await.unwrap();
        connection.read_u8().await.unwrap();
        let working = Arc::clone(&long_work);
        let nothing = tokio::time::timeout(SHORT * 4, connection.read_u8()).await;
        assert!(nothing.is_err(), "it is still being answered");
        drop(working);
        let ended = connection.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }
}
