//! Commands that hold a seat, and what the server knows of it.

use std::io::Write;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{
    Client, Ended, Home, License, PATIENCE, Printed, Server, coditect, text, until,
};

/// A server with an operator.
pub struct Site {
    pub home: Home,
    pub server: Server,
    pub operator: Client,
}

impl Site {
    pub async fn new() -> Self {
        let home = Home::new();
        let server = home.start();
        let operator = server.operator().await;
        Self { home, server, operator }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// `coditect seat run` for a licence, up to the flags.
    pub fn seat_run(&self, license: &License) -> Command {
        seat_run(&self.url(), license)
    }

    pub async fn used(&self, license: &License) -> usize {
        self.operator.holders(license).await.len()
    }

    /// Waits until so many seats are held.
    pub async fn until_used(&self, license: &License, count: usize) {
        until(&format!("{count} seats are held"), async || self.used(license).await == count).await;
    }

    /// The one seat that is held.
    pub async fn holder(&self, license: &License) -> Value {
        let mut holders = self.operator.holders(license).await;
        assert_eq!(holders.len(), 1, "{holders:?}");
        holders.remove(0)
    }

    /// Takes every seat from whoever holds it.
    pub async fn evict(&self, license: &License) {
        for holder in self.operator.holders(license).await {
            let path =
                format!("/api/v1/licenses/{}/sessions/{}", license.id, text(&holder["session_id"]));
            self.operator.call(reqwest::Method::DELETE, &path, None).await.unwrap().expect(&[200]);
        }
    }

    pub async fn act(&self, license: &License, act: &str) {
        let path = format!("/api/v1/admin/licenses/{}/{act}", license.id);
        self.operator.post(&path, serde_json::json!({})).await.expect(&[200]);
    }
}

pub fn seat_run(server: &str, license: &License) -> Command {
    let mut command = coditect(&["seat", "run", "--server", server]);
    command.env("CODITECT_LICENSE_KEY", &license.key);
    command
}

/// Adds flags, and a script for the shell to run with the seat.
pub fn script(mut command: Command, flags: &[&str], script: &str) -> Command {
    command.args(flags).args(["--", "sh", "-c", script]);
    command
}

/// Runs it to its end with this input.
pub fn fed(mut command: Command, input: &str) -> Ended {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

/// A command that runs; killed when dropped.
pub struct Running {
    child: Child,
    out: Arc<Printed>,
    err: Arc<Printed>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (Arc::<Printed>::default(), Arc::<Printed>::default());
        out.read(child.stdout.take().unwrap());
        err.read(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// Waits until it has printed this.
    #[track_caller]
    pub fn says(&self, words: &str) {
        let found = self.out.wait_for(|line| line.contains(words).then_some(()));
        assert!(found.is_some(), "{words}?\n{}", self.printed());
    }

    /// Waits until coditect has said this.
    #[track_caller]
    pub fn warns(&self, words: &str) {
        let found = self.err.wait_for(|line| line.contains(words).then_some(()));
        assert!(found.is_some(), "{words}?\n{}", self.printed());
    }

    /// What coditect has said so far.
    pub fn warned(&self) -> String {
        self.err.text()
    }

    pub fn printed(&self) -> String {
        format!("{}--- errors\n{}", self.out.text(), self.err.text())
    }

    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not end:\n{}", self.printed());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Waits until it has ended with this code.
    #[track_caller]
    pub fn ends_with(&mut self, code: i32) {
        assert_eq!(self.wait().code(), Some(code), "{}", self.printed());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
