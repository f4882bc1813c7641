//! A server at an address: API keys, and what stands in the way.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use crate::Desk;
use crate::support::{Ended, OPERATOR, PASSWORD, coditect};

/// The program with these words, and no data folder.
fn ran(command: &mut Command) -> Ended {
    command.output().unwrap().into()
}

#[tokio::test]
async fn a_server_elsewhere_is_asked_with_an_api_key() {
    let desk = Desk::open().await;
    let url = format!("http://{}", desk.server.address);
    let folder = desk.home.path();
    let password = folder.join("password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let person = ["--email", OPERATOR, "--password-file", password.to_str().unwrap()];
    let at = |words: &[&str]| coditect(&[words, &["--server", &url]].concat());
    let as_person = |words: &[&str]| ran(&mut at(&[words, &person].concat()));

    // The key is all that standard output has, for `> key`.
    let made = as_person(&["api-key", "create", "nightly", "--expires-in-days", "30"]).succeeded();
    assert!(made.out.starts_with("cdt_") && made.out.lines().count() == 1, "{}", made.out);
    assert!(made.err.contains("once"), "{}", made.err);
    let file = folder.join("key");
    fs::write(&file, &made.out).unwrap();
    let listed = as_person(&["api-key", "list"]).succeeded().out;
    assert!(listed.contains("nightly") && listed.contains(&made.out[..8]), "{listed}");
    assert!(!listed.contains(made.out.trim()), "the secret is shown once: {listed}");

    // From a file that a flag or the environment names, or from the environment itself.
    let key_file = file.to_str().unwrap();
    let users = |command: &mut Command| ran(command).succeeded().out.contains(OPERATOR);
    assert!(users(&mut at(&["user", "list", "--api-key-file", key_file])));
    assert!(users(at(&["user", "list"]).env("CODITECT_API_KEY", made.out.trim())));
    assert!(users(at(&["user", "list"]).env("CODITECT_API_KEY_FILE", key_file)));
    assert!(users(
        coditect(&["user", "list"])
            .env("CODITECT_SERVER", &url)
            .env("CODITECT_API_KEY", made.out.trim())
    ));
    // A data folder on the command line means the server on it.
    assert!(users(
        desk.home.command(&["user", "list"]).env("CODITECT_SERVER", "http://127.0.0.1:1")
    ));

    // Keys are a person's: nobody else's, and not a program's to make.
    ran(&mut at(&["api-key", "list"])).ended_with(2, "--email");
    ran(&mut at(&["user", "list"])).ended_with(4, "wants an API key");
    ran(at(&["user", "list"]).env("CODITECT_API_KEY", "cdt_wrong"))
        .ended_with(4, "(unauthenticated)");
    ran(&mut at(&["user", "list", "--api-key-file", "/nowhere"])).ended_with(4, "/nowhere");
    let wrong = folder.join("wrong");
    fs::write(&wrong, "wrong").unwrap();
    let wrong = ["--email", OPERATOR, "--password-file", wrong.to_str().unwrap()];
    ran(&mut at(&[&["api-key", "list"][..], &wrong].concat()))
        .ended_with(4, "(invalid_credentials)");

    as_person(&["api-key", "revoke", "nightly"]).ended_with(2, "Add --yes");
    as_person(&["api-key", "revoke", "nightly", "--yes"]).succeeded();
    as_person(&["api-key", "revoke", "nightly", "--yes"])
        .ended_with(3, "there is no API key nightly");
    ran(&mut at(&["user", "list", "--api-key-file", key_file])).ended_with(4, "(unauthenticated)");
}

#[tokio::test]
async fn a_customer_is_no_operator() {
    let desk = Desk::open().await;
    let client = desk.server.client();
    let body = crate::support::person("ada@example.com");
    client.post("/api/v1/auth/register", body).await.expect(&[201]);
    let url = format!("http://{}", desk.server.address);
    // Whoever has not followed the mailed link cannot sign in, and an access token is a key as well.
    let mut command = coditect(&["license", "list", "--server", &url]);
    ran(command.env("CODITECT_API_KEY", "eyJhbGciOiJub25lIn0.e30."))
        .ended_with(4, "(unauthenticated)");
}

#[test]
fn what_is_no_server_is_told_apart() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let list = |server: &str| {
        ran(coditect(&["user", "list", "--server", server]).env("CODITECT_API_KEY", "cdt_x"))
    };
    list(&format!("http://{free}")).ended_with(6, "Does it run");
    list("licensing.example.com").ended_with(2, "is no address");
    list("ftp://licensing.example.com").ended_with(2, "https://");

    // Something else that speaks HTTP.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let answer = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = other.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nnope\n").unwrap();
    });
    list(&format!("http://{address}")).ended_with(1, "does not seem to be a CODITECT server");
    answer.join().unwrap();
}
