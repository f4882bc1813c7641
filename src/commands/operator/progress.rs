//! How far long work has come: one line on standard error, where that is a terminal.

use std::io::{IsTerminal, Write};

use super::output::size;

/// The width of a bar, in characters.
const BAR: u64 = 30;
/// Without a known end, a line is drawn for so many bytes.
const STEP_BYTES: u64 = 1 << 20;

/// Work that goes on; its line is taken away when it ends.
pub struct Progress {
    what: &'static str,
    total: Option<u64>,
    bytes: bool,
    /// What is drawn now; it is drawn again only when it changes.
    drawn: Option<u64>,
    on: bool,
}

impl Progress {
    /// Work on so many bytes, where that is known.
    pub fn bytes(what: &'static str, total: Option<u64>) -> Self {
        let total = total.filter(|total| *total > 0);
        Self { what, total, bytes: true, drawn: None, on: std::io::stderr().is_terminal() }
    }

    /// Work on so many things, where that is known.
    pub fn items(what: &'static str, total: Option<u64>) -> Self {
        Self { bytes: false, ..Self::bytes(what, total) }
    }

    /// Work that tells nothing until it is done.
    pub fn waiting(what: &'static str) -> Self {
        let mut progress = Self::bytes(what, None);
        progress.draw(0, &format!("{what} ..."));
        progress
    }

    /// So much is done.
    pub fn reached(&mut self, done: u64) {
        let step = match self.total {
            Some(total) => done.min(total) * 100 / total,
            None if self.bytes => done / STEP_BYTES,
            None => done,
        };
        if self.on && self.drawn != Some(step) {
            let line = line(self.what, done, self.total, self.bytes);
            self.draw(step, &line);
        }
    }

    fn draw(&mut self, step: u64, line: &str) {
        if self.on {
            self.drawn = Some(step);
            // What cannot be drawn is not worth ending for.
            let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(what: &str, done: u64, total: Option<u64>, bytes: bool) -> String {
    let count = |n: u64| if bytes { size(n) } else { n.to_string() };
    let Some(total) = total else { return format!("{what} {}", count(done)) };
    let done = done.min(total);
    let full = (done * BAR / total) as usize;
    let bar = format!("{}{}", "#".repeat(full), "-".repeat(BAR as usize - full));
    format!("{what} [{bar}] {:>3} %  {} of {}", done * 100 / total, count(done), count(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_from_nothing_to_all() {
        let bar = |done| line("Downloading", done, Some(4 << 20), true);
        assert_eq!(bar(0), format!("Downloading [{}]   0 %  0 B of 4.0 MiB", "-".repeat(30)));
        assert_eq!(
            bar(1 << 20),
            format!("Downloading [{}{}]  25 %  1.0 MiB of 4.0 MiB", "#".repeat(7), "-".repeat(23))
        );
        assert_eq!(
            bar(5 << 20),
            format!("Downloading [{}] 100 %  4.0 MiB of 4.0 MiB", "#".repeat(30))
        );
        assert_eq!(line("Listing", 400, None, false), "Listing 400");
    }
}
