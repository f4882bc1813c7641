//! What clients do.

use std::collections::VecDeque;

use super::drive::{Clients, Script, Verdict};
use super::http::write_request;

/// The same requests over and over: the bare reference, heartbeats, validations, sign-ins.
pub struct Cycle {
    requests: Vec<Vec<u8>>,
    at: usize,
}

impl Cycle {
    /// So many clients that share out these bodies, posted to one path. With fewer bodies than
    /// clients some post the same.
    pub fn clients(count: usize, path: &str, bodies: &[String]) -> Clients {
        (0..count)
            .map(|client| {
                let mut mine: Vec<&String> = bodies.iter().skip(client).step_by(count).collect();
                if mine.is_empty() {
                    mine.push(&bodies[client % bodies.len()]);
                }
                let request = |body: &String| {
                    let mut bytes = Vec::new();
                    write_request(&mut bytes, "POST", path, None, body);
                    bytes
                };
                Box::new(Self { requests: mine.into_iter().map(request).collect(), at: 0 })
                    as Box<dyn Script>
            })
            .collect()
    }
}

impl Script for Cycle {
    fn next(&mut self, request: &mut Vec<u8>) {
        request.clone_from(&self.requests[self.at]);
        self.at = (self.at + 1) % self.requests.len();
    }

    fn answered(&mut self, status: u16, _body: &[u8]) -> Verdict {
        if status == 200 { Verdict::Done } else { Verdict::Failed }
    }
}

/// Takes seats and gives them back, the longest held first. With no free seat it gives one back.
pub struct TakeAndGive {
    license_key: String,
    machines: Vec<String>,
    at: usize,
    /// As many seats as it holds before it gives one back.
    hold: usize,
    held: VecDeque<String>,
    giving: bool,
    full: bool,
}

impl TakeAndGive {
    /// Clients that have a licence each, in turn, and `machines` hardware ids between them.
    pub fn clients(count: usize, license_keys: &[String], machines: usize, hold: usize) -> Clients {
        (0..count)
            .map(|client| {
                let machines = (client..machines)
                    .step_by(count)
                    .map(|nth| format!("machine-{nth:08}"))
                    .collect();
                Box::new(Self {
                    license_key: license_keys[client % license_keys.len()].clone(),
                    machines,
                    at: 0,
                    hold,
                    held: VecDeque::new(),
                    giving: false,
                    full: false,
                }) as Box<dyn Script>
            })
            .collect()
    }
}

impl Script for TakeAndGive {
    fn next(&mut self, request: &mut Vec<u8>) {
        self.giving = !self.held.is_empty() && (self.full || self.held.len() >= self.hold);
        if self.giving
            && let Some(session_id) = self.held.pop_front()
        {
            let body = format!(r#"{{"session_id":"{session_id}"}}"#);
            return write_request(request, "POST", "/api/v1/licenses/release", None, &body);
        }
        let machine = &self.machines[self.at];
        self.at = (self.at + 1) % self.machines.len();
        let body = format!(r#"{{"license_key":"{}","hardware_id":"{machine}"}}"#, self.license_key);
        write_request(request, "POST", "/api/v1/licenses/acquire", None, &body);
    }

    fn answered(&mut self, status: u16, body: &[u8]) -> Verdict {
        self.full = status == 409;
        match (self.giving, status) {
            (true, 200) => Verdict::Done,
            (false, 201) => {
                let session_id = text_of(body, b"\"session_id\":\"");
                self.held.push_back(session_id);
                Verdict::Done
            }
            // A machine that holds a seat already is told so; it is not counted, nothing was written.
            (false, 200 | 409) => Verdict::Refused,
            _ => Verdict::Failed,
        }
    }
}

/// The text behind a name in a JSON object without escapes; cheaper than parsing it all.
fn text_of(body: &[u8], name: &[u8]) -> String {
    let from = body
        .windows(name.len())
        .position(|window| window == name)
        .map_or(body.len(), |at| at + name.len());
    let text = body[from..].split(|byte| *byte == b'"').next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}
