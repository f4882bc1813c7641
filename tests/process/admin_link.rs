//! `coditect admin link` and `coditect keys rotate`, beside a server and without one.

use std::net::TcpListener;

use crate::support::{Home, Server, claim, run, text, until};

/// The local socket stands when the server takes requests, a moment after it says so.
async fn ready(server: &Server, home: &Home) {
    let socket = home.data().join("admin.sock");
    let client = server.client();
    until("the server takes requests", async || {
        socket.exists() && client.get("/health/live").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_running_server_gives_a_link_to_itself_until_it_has_an_operator() {
    let home = Home::bare();
    let server = home.start();
    ready(&server, &home).await;
    let link = home.run(&["admin", "link"]).succeeded().out;
    assert!(link.starts_with(&format!("http://{}/admin#setup=", server.address)), "{link}");
    assert_eq!(link.lines().count(), 1, "a script can use it as it is: {link}");
    claim(&server.client(), &link).await.expect(&[201]);
    home.run(&["admin", "link"]).ended_with(5, "operator");
}

#[tokio::test]
async fn a_stopped_server_gives_a_link_for_its_next_start() {
    let home = Home::bare();
    home.start().stop();
    // The port may be another program's by now: a link needs none.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let output = home.command(&["admin", "link"]).env("CODITECT_LISTEN", &listen).output().unwrap();
    let link = String::from_utf8(output.stdout).unwrap();
    assert!(link.starts_with(&format!("http://{listen}/admin#setup=")), "{link}");
    let server = home.start();
    claim(&server.client(), &link).await.expect(&[201]);
}

#[test]
fn without_data_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("misspelt");
    for command in [
        vec!["admin", "link"],
        vec!["keys", "rotate"],
        vec!["backup", "/tmp/never"],
        vec!["doctor"],
    ] {
        let mut arguments = command.clone();
        arguments.extend(["--data", data.to_str().unwrap()]);
        run(&arguments).failed_saying("--data right?");
        assert!(!data.exists(), "{command:?}");
    }
}

#[tokio::test]
async fn the_master_key_is_replaced_while_no_server_runs() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    ready(&server, &home).await;
    let keys = server.client().get("/.well-known/jwks.json").await.expect(&[200]);
    home.run(&["key", "replace-master", "--yes"]).failed_saying("stop that one first");
    server.stop();
    home.run(&["key", "replace-master"]).ended_with(2, "--yes");
    home.run(&["key", "replace-master", "--yes", "--new", "/tmp/x"])
        .failed_saying("leave --new out");
    let told = home.run(&["key", "replace-master", "--yes"]).succeeded().out;
    assert!(told.contains("3 secrets") && told.contains("master.key.until-"), "{told}");
    let server = home.start();
    let same = server.client().get("/.well-known/jwks.json").await.expect(&[200]);
    assert_eq!(same, keys);
    let operator = server.operator().await;
    let license = operator.issue(1).await;
    operator.activate(&license, "machine").await.expect(&[201]);
}

#[tokio::test]
async fn a_key_is_rotated_beside_a_server_and_without_one_and_old_ones_stay_published() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    ready(&server, &home).await;
    let kids = async |server: &Server| -> Vec<String> {
        let keys = server.client().get("/.well-known/jwks.json").await.expect(&[200]);
        let of_licenses = keys["keys"].as_array().unwrap().iter().filter(|key| key["kty"] == "RSA");
        of_licenses.map(|key| text(&key["kid"])).collect()
    };
    let first = kids(&server).await;
    assert_eq!(first.len(), 1);
    let beside = home.run(&["keys", "rotate"]).succeeded().out;
    let second = kids(&server).await;
    assert_eq!(second.len(), 2);
    assert!(second.contains(&first[0]));
    assert!(second.iter().any(|kid| *kid != first[0] && beside.contains(kid)), "{beside}");

    server.stop();
    let without = home.run(&["keys", "rotate"]).succeeded().out;
    let server = home.start();
    let third = kids(&server).await;
    assert_eq!(third.len(), 3);
    let newest = third.iter().find(|kid| !second.contains(kid)).unwrap();
    assert!(without.contains(newest), "{without}");
    let operator = server.operator().await;
    let license = operator.issue(1).await;
    operator.activate(&license, "machine").await.expect(&[201]);
}
