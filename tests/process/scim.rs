//! A directory that nobody here wrote: scim2-tester, which checks what RFC 7643 and 7644 ask of a server.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::{Home, text};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs python packages: run by tests/all.sh"]
async fn a_checker_of_scim_finds_nothing_to_complain_of() {
    let home = Home::new();
    let server = home.start();
    let operator = server.operator().await;
    let org = operator.post("/api/v1/orgs", json!({"name": "Loom Ltd"})).await.expect(&[201]);
    let org = format!("/orgs/{}", text(&org["org_id"]));
    let domains = format!("/api/v1{org}/domains");
    operator.post(&domains, json!({"domain": "loom.example"})).await.expect(&[201]);
    let verify = format!("/api/v1/admin{org}/domains/loom.example/verify");
    operator.post(&verify, json!(null)).await.expect(&[200]);
    let tokens = format!("/api/v1{org}/provisioning-tokens");
    let made = operator.post(&tokens, json!({"name": "scim2-tester"})).await.expect(&[201]);
    let secret = text(&made["secret"]);
    // People reach this server by another name than this computer knows.
    let base = format!("http://{}/api/v1{org}/scim/v2", server.address);
    assert!(text(&made["base_url"]).ends_with(&format!("/api/v1{org}/scim/v2")));

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checked = Command::new(root.join(".venv/bin/python"))
        .arg(root.join("tests/python/scim.py"))
        .args([&base, &secret, "loom.example"])
        .output()
        .expect("no .venv/bin/python: run `tests/all.sh tools`");
    let told = String::from_utf8_lossy(&checked.stdout);
    let trouble = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{told}\n{trouble}");
    println!("{told}");
    // What it made it took away again, and nothing was met that the server did not expect.
    let members = operator.list(&format!("/api/v1{org}/members")).await;
    assert_eq!(members.len(), 1, "{members:?}");
    let printed = server.stop();
    assert!(!printed.contains("a request failed"), "{printed}");
}
