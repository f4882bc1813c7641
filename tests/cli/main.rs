//! The operator's command line against a running server: each command, as a person reads it and as
//! a script does.
//!
//! A server is started for each file here, and its commands are run one after the other, as an
//! operator would.

#![allow(clippy::unwrap_used)]

mod customers;
mod elsewhere;
mod offline;
mod organisations;
mod server;
// What runs the program is shared with the tests of its processes, which use more of it.
#[allow(dead_code)]
#[path = "../process/support.rs"]
mod support;

use std::fs;

use serde_json::Value;

use crate::support::{Ended, Home, Server};

/// A running server, and the command line beside it.
pub struct Desk {
    /// Its data.
    pub home: Home,
    /// The server.
    pub server: Server,
}

impl Desk {
    /// Starts a server and waits until it can be asked and can sign.
    pub async fn open() -> Self {
        Self::open_in(Home::new()).await
    }

    /// The same with other settings.
    pub async fn open_in(home: Home) -> Self {
        let server = home.start();
        server.signing_key().await;
        let socket = home.data().join("admin.sock");
        support::until("it can be asked", async || socket.exists()).await;
        Self { home, server }
    }

    /// Runs a command of one line; quotes keep words together.
    pub fn run(&self, line: &str) -> Ended {
        let words = words(line);
        self.home.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// What a command prints for people.
    #[track_caller]
    pub fn says(&self, line: &str) -> String {
        self.run(line).succeeded().out
    }

    /// What a command prints for programs.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        let out = self.says(&format!("{line} --json"));
        serde_json::from_str(&out).unwrap_or_else(|why| panic!("{line}: {why}: {out}"))
    }

    /// The items of a list.
    #[track_caller]
    pub fn items(&self, line: &str) -> Vec<Value> {
        self.json(line)["items"].as_array().unwrap_or_else(|| panic!("{line}: no list")).clone()
    }

    /// The token of a link that was mailed to this address.
    pub async fn mailed_token(&self, email: &str) -> String {
        let token = || {
            let mails = fs::read_dir(self.home.data().join("mail")).unwrap();
            let texts = mails.filter_map(|mail| fs::read_to_string(mail.unwrap().path()).ok());
            let mail = texts
                .into_iter()
                .find(|text| text.contains(&format!("To: {email}")) && text.contains("token="))?;
            let rest = mail.split_once("token=")?.1;
            let is_token = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
            Some(rest.chars().take_while(is_token).collect())
        };
        support::until("the mail is there", async || token().is_some()).await;
        token().unwrap()
    }

    /// Fails unless the command ends with this code and says this.
    #[track_caller]
    pub fn refuses(&self, line: &str, code: i32, why: &str) {
        let ended = self.run(line).ended_with(code, why);
        assert_eq!(ended.out, "", "{line}: what went wrong belongs to standard error");
    }
}

fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}

/// The row of a table in which this stands.
#[track_caller]
pub fn row<'a>(table: &'a str, with: &str) -> &'a str {
    table
        .lines()
        .find(|line| line.contains(with))
        .unwrap_or_else(|| panic!("no {with} in\n{table}"))
}
