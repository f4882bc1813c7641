//! Processes: the server under test and the reference, started, asked, watched and stopped.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::bare;
use super::http::call;

/// The operator of the server under test.
pub const EMAIL: &str = "operator@load.example";
/// Its password.
pub const PASSWORD: &str = "a quiet harbour at dawn";

/// A process that serves, killed when dropped.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// When it was started.
    pub started: Instant,
    /// Kept, so that it can print.
    _stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it and waits until it says where it listens.
    fn start(mut command: Command) -> Self {
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            let read = stdout.read_line(&mut line).expect("it prints text");
            assert!(read > 0, "the server ended before it said where it listens");
            if let Some(address) = line.trim().strip_prefix("Address   http://") {
                break address.parse().expect("an address");
            }
        };
        Self { child, address, started, _stdout: stdout }
    }

    /// The reference, in this program's own binary.
    pub fn bare() -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program is a file"));
        command.arg(bare::ARGUMENT);
        Self::start(command)
    }

    /// Megabytes in use, as the kernel counts them.
    pub fn resident_mb(&self) -> f64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(f64::NAN) / 1024.0
    }

    /// Processor time used so far, in ticks of 10 ms.
    pub fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        // The name may hold spaces; the fields count from behind it: user time is the 12th, system time the 13th.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum()
    }

    /// Kills it as a power cut would.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends it politely.
    pub fn stop(mut self) {
        let ended = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .is_ok_and(|status| status.success());
        if ended {
            let _ = self.child.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A data directory and the ways to serve it.
pub struct House {
    folder: TempDir,
}

impl House {
    /// An empty one. Set `TMPDIR` to choose the disk.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("the disk works");
        fs::write(folder.path().join("password"), PASSWORD).expect("the disk works");
        Self { folder }
    }

    /// Where the data is.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.data().join("coditect.redb")
    }

    /// Serves it with the release binary: rate limits out of the way, everything else as shipped.
    pub fn serve(&self) -> Process {
        let binary = std::env::var_os("LOAD_BINARY")
            .unwrap_or_else(|| env!("CARGO_BIN_EXE_coditect").into());
        let mut command = Command::new(binary);
        let limits = ["ADDRESS_PER_MINUTE", "ADDRESS_BURST", "ACCOUNT_PER_MINUTE", "ACCOUNT_BURST"];
        command
            .arg("serve")
            .env("CODITECT_DATA", self.data())
            .env("CODITECT_LISTEN", "127.0.0.1:0")
            .env("CODITECT_ADMIN_EMAIL", EMAIL)
            .env("CODITECT_ADMIN_PASSWORD_FILE", self.folder.path().join("password"))
            .envs(limits.map(|limit| (format!("CODITECT_AUTH_{limit}"), "1000000")))
            .stderr(fs::File::create(self.folder.path().join("log")).expect("the disk works"));
        Process::start(command)
    }

    /// Serves it and waits until it is ready; says how long that took from the start of the process.
    pub fn serve_ready(&self) -> (Process, Duration) {
        let process = self.serve();
        let ready = loop {
            match call(process.address, "GET", "/health/ready", None, "") {
                Ok((200, _)) => break process.started.elapsed(),
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        (process, ready)
    }
}

/// A signed-in operator.
pub struct Operator {
    address: SocketAddr,
    token: String,
}

impl Operator {
    /// Signs in.
    pub fn sign_in(address: SocketAddr) -> Self {
        let (status, answer) =
            call(address, "POST", "/api/v1/auth/login", None, &login(EMAIL)).expect("it answers");
        assert_eq!(status, 200, "{answer}");
        let token = answer["access_token"].as_str().expect("a token").to_owned();
        Self { address, token }
    }

    /// A call that must succeed.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) =
            call(self.address, method, path, Some(&self.token), &body).expect("it answers");
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Issues a licence; its key.
    pub fn issue(&self, seats: u32) -> String {
        let answer = self.call(
            "POST",
            "/api/v1/admin/licenses",
            &json!({"email": EMAIL, "max_concurrent_seats": seats}),
        );
        answer["license_key"].as_str().expect("a key").to_owned()
    }

    /// Waits until the signing key is made and no mail is on its way, so that nothing runs beside
    /// what is measured.
    pub fn settle(&self) {
        let quiet = || {
            let overview = self.call("GET", "/api/v1/admin/overview", &Value::Null);
            overview["signing_key"]["status"] == "ready"
                && overview["mails"]["waiting"].as_u64().unwrap_or(0) == 0
        };
        while !quiet() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The body of a sign-in; everybody has the operator's password.
pub fn login(email: &str) -> String {
    json!({"email": email, "password": PASSWORD}).to_string()
}

/// Takes a seat for each of so many machines; their session ids.
pub fn take_seats(
    address: SocketAddr,
    license_key: &str,
    machines: usize,
) -> io::Result<Vec<String>> {
    (0..machines)
        .map(|nth| {
            let body = json!({"license_key": license_key, "hardware_id": format!("holder-{nth}")})
                .to_string();
            let (status, answer) = call(address, "POST", "/api/v1/licenses/acquire", None, &body)?;
            assert_eq!(status, 201, "{answer}");
            Ok(answer["session_id"].as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

/// The size of a file in megabytes.
pub fn file_mb(path: &Path) -> f64 {
    fs::metadata(path).map_or(f64::NAN, |data| data.len() as f64 / (1024.0 * 1024.0))
}
