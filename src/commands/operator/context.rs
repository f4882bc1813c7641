//! What every command has: the server, and how its answers are printed.

use std::io::{IsTerminal, Write};

use serde_json::{Value, json};

use super::failure::{Failure, Result};
use super::http::Http;
use super::output::{self, Column};
use super::progress::Progress;
use crate::cli::operator::Paging;

/// The most that the server gives at once.
const PAGE: usize = 200;

/// Pairs of a query.
pub type Query<'a> = Vec<(&'a str, &'a str)>;

/// The server that is asked, and how its answers are printed.
pub struct Context {
    pub http: Http,
    json: bool,
}

/// Part of a list, and whether there is more.
pub struct Listed {
    pub items: Vec<Value>,
    pub more: bool,
}

impl Context {
    /// This server, its answers printed as JSON or for people.
    pub fn of(http: Http, json: bool) -> Self {
        Self { http, json }
    }

    /// A list, page after page, up to so many items.
    pub async fn pages(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        most: Option<usize>,
    ) -> Result<Listed> {
        let mut progress = Progress::items("Listing", None);
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let wanted = most.map_or(PAGE, |most| (most - items.len()).min(PAGE)).to_string();
            let mut query = query.to_vec();
            query.push(("limit", &wanted));
            if !cursor.is_empty() {
                query.push(("cursor", &cursor));
            }
            let mut page = self.http.get(path, &query).await?;
            let Value::Array(mut found) = page["items"].take() else {
                return Err(Failure::failed("the server's answer is no list"));
            };
            items.append(&mut found);
            match page["next_cursor"].as_str() {
                None => {
                    // Some lists are answered whole, whatever `limit` says.
                    let more = most.is_some_and(|most| items.len() > most);
                    items.truncate(most.unwrap_or(usize::MAX));
                    return Ok(Listed { items, more });
                }
                Some(_) if most.is_some_and(|most| items.len() >= most) => {
                    return Ok(Listed { items, more: true });
                }
                Some(next) => {
                    progress.reached(items.len() as u64);
                    next.clone_into(&mut cursor);
                }
            }
        }
    }

    /// Prints a list. `none` says what an empty one means, and what to do next.
    pub async fn list(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        paging: &Paging,
        columns: &[Column],
        none: &str,
    ) -> Result<()> {
        let listed = self.pages(path, query, paging.most()).await?;
        self.print_list(&listed, columns, none)
    }

    /// Prints a list that was read.
    pub fn print_list(&self, listed: &Listed, columns: &[Column], none: &str) -> Result<()> {
        if self.json {
            output::json(&json!({"items": listed.items}))?;
        } else if listed.items.is_empty() {
            eprintln!("{none}");
        } else {
            output::print(&output::table(columns, &listed.items))?;
        }
        if listed.more {
            eprintln!("There are more: --limit N lists more of them, --all lists all.");
        }
        Ok(())
    }

    /// Prints a record.
    pub fn show(&self, item: &Value, columns: &[Column]) -> Result<()> {
        if self.json { output::json(item) } else { output::print(&output::record(columns, item)) }
    }

    /// Says what was done: the server's answer for programs, a sentence for people.
    pub fn did(&self, answer: &Value, sentence: &str) -> Result<()> {
        if self.json { output::json(answer) } else { output::print(&format!("{sentence}\n")) }
    }

    /// Whether programs read.
    pub fn is_json(&self) -> bool {
        self.json
    }
}

/// Asks before something that cannot be undone, unless `yes` was given.
pub fn confirm(yes: bool, question: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{question} Add --yes: there is nobody to ask here")));
    }
    let asked = || -> std::io::Result<String> {
        write!(std::io::stderr(), "{question} [y/N] ")?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(answer)
    };
    let answer = asked().map_err(|error| Failure::failed(error.to_string()))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::failed("nothing was changed"))
}
