//! A name server on a port of this computer, which says what a test has it say. Questions and answers are
//! read and written by a library that the server under test does not write them with alone.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{RData, Record};
use parking_lot::Mutex;

/// How long a record may be remembered, in seconds: a test changes it within the second.
const TTL_S: u32 = 3_600;

type Records = HashMap<String, Vec<String>>;

/// Answers until it is dropped.
pub struct NameServer {
    pub address: SocketAddr,
    records: Arc<Mutex<Records>>,
    broken: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl NameServer {
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let records: Arc<Mutex<Records>> = Arc::default();
        let (broken, ended): (Arc<AtomicBool>, Arc<AtomicBool>) = Default::default();
        let (known, fails, over) = (Arc::clone(&records), Arc::clone(&broken), Arc::clone(&ended));
        std::thread::spawn(move || {
            let mut question = [0; 1_500];
            while !over.load(Ordering::Relaxed) {
                let Ok((length, asker)) = socket.recv_from(&mut question) else { continue };
                let answer =
                    answer(&question[..length], &known.lock(), fails.load(Ordering::Relaxed));
                socket.send_to(&answer, asker).unwrap();
            }
        });
        Self { address, records, broken, ended }
    }

    /// Writes the texts of a name; none: the name is not there.
    pub fn says(&self, name: &str, texts: &[&str]) {
        let texts = texts.iter().map(|&text| text.to_owned()).collect();
        self.records.lock().insert(name.to_lowercase(), texts);
    }

    /// Whether it fails at everything it is asked.
    pub fn fails(&self, fails: bool) {
        self.broken.store(fails, Ordering::Relaxed);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn answer(question: &[u8], records: &Records, fails: bool) -> Vec<u8> {
    let question = Message::from_vec(question).unwrap();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    let query = question.queries[0].clone();
    let name = query.name().clone();
    answer.add_query(query);
    let asked = name.to_ascii().trim_end_matches('.').to_lowercase();
    match records.get(&asked) {
        _ if fails => answer.metadata.response_code = ResponseCode::ServFail,
        None => answer.metadata.response_code = ResponseCode::NXDomain,
        Some(texts) => {
            for text in texts {
                let data = RData::TXT(TXT::new(vec![text.clone()]));
                answer.add_answer(Record::from_rdata(name.clone(), TTL_S, data));
            }
        }
    }
    answer.to_vec().unwrap()
}
