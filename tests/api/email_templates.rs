//! How messages read, and the vendor's own texts of them.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn every_message_is_shown_with_sample_data_to_operators_alone() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let all = operator.get("/api/v1/admin/email-templates").await.ok(200);
    assert_eq!((&all["logo"], &all["broken"]), (&json!(false), &json!([])));
    let messages = items(&all);
    assert!(messages.len() >= 15, "{all}");
    for message in messages {
        assert_eq!(message["overridden"], json!([]));
        let path = format!("/api/v1/admin/email-templates/{}", text(&message["message"]));
        let sample = operator.get(&path).await.ok(200);
        for part in ["subject", "text", "html"] {
            assert!(!text(&sample[part]).is_empty(), "{part} of {message}");
        }
    }
    operator.get("/api/v1/admin/email-templates/newsletter").await.refused(404, "not_found");
    let ann = app.customer("ann@example.com").await;
    ann.get("/api/v1/admin/email-templates").await.refused(403, "forbidden");
    ann.get("/api/v1/admin/email-templates/verify_email").await.refused(403, "forbidden");
}

#[tokio::test]
async fn a_vendors_texts_are_sent_and_a_broken_one_is_told() {
    let app = TestApp::start().await;
    let folder = app.data().join("mail-templates/verify_email");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("subject.txt"), "Confirm, please").unwrap();
    std::fs::write(folder.join("body.txt"), "{{ lnik }}").unwrap();
    let app = app.restart().await;
    app.register("ann@example.com").await.ok(201);
    let mail = app.mail_to("ann@example.com", "Confirm, please").await;
    assert!(!mail.token().is_empty(), "our text stands in for the broken one");
    let operator = app.operator().await;
    let all = operator.get("/api/v1/admin/email-templates").await.ok(200);
    let own = items(&all).iter().find(|message| message["message"] == "verify_email").unwrap();
    assert_eq!(own["overridden"], json!(["subject.txt"]));
    assert_eq!(all["broken"][0]["file"], "verify_email/body.txt");
    let report = operator.get("/api/v1/admin/diagnostics").await.ok(200);
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "mail_templates").unwrap();
    assert_eq!(check["state"], "warning", "{check}");
    assert!(text(&check["found"]).contains("verify_email/body.txt"), "{check}");
}
