//! Waiting for a future without a runtime.
//!
//! What is awaited here are channels, which need no runtime: whoever fills them has its own. So this
//! works on any thread, also on one of a runtime, where it blocks and never panics.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use super::moment::Moment;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks this thread until the future is done.
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        thread::park();
    }
}

/// Blocks this thread until the future is done, or the time is over.
pub(super) fn wait_at_most<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let end = Moment::now().plus(time);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(done);
        }
        let left = end.left();
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn it_waits_for_another_thread() {
        let (tell, told) = oneshot::channel();
        let other = thread::spawn(move || tell.send(7));
        assert_eq!(wait(told), Ok(7));
        other.join().unwrap().unwrap();
    }

    #[test]
    fn it_waits_no_longer_than_it_may() {
        let (_tell, told) = oneshot::channel::<()>();
        assert_eq!(wait_at_most(Duration::from_millis(20), told), None);
        assert_eq!(wait_at_most(Duration::ZERO, async { 7 }), Some(7), "what is done is done");
    }

    #[tokio::test]
    async fn it_blocks_a_thread_of_a_runtime_and_does_not_panic() {
        let (tell, told) = oneshot::channel();
        thread::spawn(move || tell.send(7));
        assert_eq!(wait(told), Ok(7));
    }
}
