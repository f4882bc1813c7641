//! Connections within bounds: so many at once, and none that nobody uses.
//!
//! The framework's own idle time-out wakes a task at every read and write of a
//! connection. Here a busy connection only notes the time; its timer looks at the
//! note when it fires.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

/// Connections on which nothing was answered are closed after this time. Longer than the
/// longest a request may wait in line for a seat is not needed: that wait is bounded by itself.
const IDLE: Duration = Duration::from_mins(6);
/// A new connection on which nothing is sent is closed after this time.
const SILENT: Duration = Duration::from_secs(30);
/// How long the bytes of a request may take from the first to the last.
const REQUEST: Duration = Duration::from_secs(30);

/// Pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(20);

/// Accepts at most so many connections at once; further ones wait in the kernel's queue.
pub struct Bounded<A> {
    inner: A,
    places: Arc<Semaphore>,
}

impl<A> Bounded<A> {
    /// Bounds an acceptor.
    pub fn new(inner: A, connections_max: u32) -> Self {
        Self { inner, places: Arc::new(Semaphore::new(connections_max as usize)) }
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
                Ok((Connection::new(io, place), local, remote, scheme))
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
    timer: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl<Io> Connection<Io> {
    fn new(io: Io, place: OwnedSemaphorePermit) -> Self {
        let answered = Instant::now();
        let timer = Box::pin(sleep_until(answered + SILENT));
        Self { io, answered, asked: None, fresh: true, timer, _place: place }
    }

    fn end(&self) -> Instant {
        let silent = self.fresh && self.asked.is_none();
        self.answered + if silent { SILENT } else { IDLE }
    }

    fn was_answered(&mut self) {
        (self.answered, self.asked, self.fresh) = (Instant::now(), None, false);
    }

    /// Ready when the connection has not been used for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let end = self.end();
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(end);
        }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Connection<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match Pin::new(&mut this.io).poll_read(cx, buffer) {
            // Who sends a request a byte at a time holds a place no longer than this.
            Poll::Ready(done) => {
                let asked = *this.asked.get_or_insert_with(Instant::now);
                if asked.elapsed() > REQUEST {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Poll::Ready(done)
            }
            Poll::Pending => this.poll_idle(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Connection<Io> {
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
        Pin::new(&mut self.io).poll_shutdown(cx)
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
