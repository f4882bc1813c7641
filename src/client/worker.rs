//! The thread that keeps a seat.
//!
//! It has a small runtime of its own. So the seat is kept whatever runtime the application has, and
//! however busy that is; and it is given back also while that runtime shuts down.

use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::oneshot;

use super::acquire::take;
use super::blocking::wait_at_most;
use super::error::{Error, Result};
use super::events::{Board, Reader};
use super::http::{Fault, Http, Server, Settings};
use super::keeper::{Keeper, Lease, forget, give_back};
use super::neighbours::Neighbours;
use super::seat::Known;
use crate::entropy::Entropy;

/// How long dropping may take.
const DROP_MAX: Duration = Duration::from_secs(2);

/// What the thread is to do.
pub(super) struct Task {
    pub(super) settings: Settings,
    pub(super) patience: Duration,
    pub(super) regain: bool,
}

/// What it tells when the seat is granted.
pub(super) struct Taken {
    pub(super) board: Reader,
    pub(super) grace: bool,
}

/// A thread that ends, and gives the seat back, when this is dropped.
pub(super) struct Worker {
    /// Dropped to tell it to end.
    stop: Option<oneshot::Sender<()>>,
    done: oneshot::Receiver<Result<()>>,
}

impl Worker {
    /// Starts it; the receiver tells whether there is a seat.
    pub(super) fn start(task: Task) -> Result<(Self, oneshot::Receiver<Result<Taken>>)> {
        let (stop, stopped) = oneshot::channel();
        let (finish, done) = oneshot::channel();
        let (tell, taken) = oneshot::channel();
        on_a_thread(finish, async move || live(task, tell, stopped).await)?;
        Ok((Self { stop: Some(stop), done }, taken))
    }

    /// Has it end, and tells whether the seat was given back.
    pub(super) async fn end(&mut self) -> Result<()> {
        self.stop = None;
        // Nothing is told when it ended before.
        (&mut self.done).await.unwrap_or(Ok(()))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.stop.is_some() {
            // What takes longer goes on behind our back, as long as the process lives.
            let _ = wait_at_most(DROP_MAX, self.end());
        }
    }
}

/// Does something on a thread and a runtime of its own, and tells what came of it.
pub(super) fn on_a_thread<T: Send + 'static>(
    tell: oneshot::Sender<Result<T>>,
    act: impl AsyncFnOnce() -> Result<T> + Send + 'static,
) -> Result<()> {
    let cannot = |error: std::io::Error| Error::Settings(format!("no thread can be had: {error}"));
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let work = move || {
        let outcome = runtime.block_on(act());
        // A look-up of a name that hangs is not waited for.
        runtime.shutdown_background();
        // Whoever asked may have gone.
        let _ = tell.send(outcome);
    };
    thread::Builder::new().name("coditect-seat".to_owned()).spawn(work).map_err(cannot)?;
    Ok(())
}

/// Takes a seat, keeps it, gives it back.
async fn live(
    task: Task,
    tell: oneshot::Sender<Result<Taken>>,
    mut stopped: oneshot::Receiver<()>,
) -> Result<()> {
    let entropy = Entropy::system();
    let timeout = task.settings.timeout;
    let http = match Http::new(task.settings.clone()) {
        Ok(http) => http,
        Err(error) => {
            let _ = tell.send(Err(error));
            return Ok(());
        }
    };
    let neighbours = Neighbours::join(&http.server(), &task.settings.hardware_id).await;
    let granted = tokio::select! {
        granted = take(&http, task.patience, &entropy) => granted,
        _ = &mut stopped => {
            if neighbours.none_left() {
                forget(&http, &entropy).await;
            }
            return Ok(());
        }
    };
    let lease = match granted {
        Ok((sent, granted)) => Lease::new(sent, granted, &entropy),
        Err(fault) => {
            // Without an answer the server may have granted it all the same.
            let unanswered = matches!(fault, Fault::Away { .. });
            let _ = tell.send(Err(http.error(fault)));
            if unanswered && neighbours.none_left() {
                forget(&http, &entropy).await;
            }
            return Ok(());
        }
    };
    let (board, reader) = Board::new(Known::Held { until: lease.deadline() });
    let taken = Taken { board: reader, grace: lease.grace };
    let mut keeper = Keeper::new(&http, lease, board, entropy, timeout, task.regain);
    if tell.send(Ok(taken)).is_ok() {
        tokio::select! {
            () = keeper.keep() => return Ok(()),
            _ = &mut stopped => {}
        }
    }
    if neighbours.none_left() {
        return keeper.give_back().await.map_err(|fault| http.error(fault));
    }
    Ok(())
}

/// Gives back the seat that this machine holds; whether it held one.
pub(super) async fn evict(settings: Settings) -> Result<bool> {
    let http = Http::new(settings)?;
    // Asking is answered with the seat that is held, where one is.
    match http.acquire(Duration::ZERO).await {
        Ok(granted) => match give_back(&http, &granted.session_id, &Entropy::system()).await {
            Ok(()) => Ok(!granted.fresh),
            Err(fault) => Err(http.error(fault)),
        },
        Err(Fault::Full { .. }) => Ok(false),
        Err(fault) => Err(http.error(fault)),
    }
}
