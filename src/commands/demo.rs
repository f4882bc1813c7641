//! `coditect serve --demo`: sample data and seats that come and go.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::config::{Loaded, Source};
use crate::services::Services;
use crate::services::demo::DemoAccess;
use crate::services::seats::AcquireInput;

/// Machines that come and go.
const MACHINES: u32 = 24;
/// The mean time between two comings or goings.
const PACE: Duration = Duration::from_millis(1_500);

/// Demo data lives in a directory of its own, unless one was named.
pub(super) fn settings(loaded: &mut Loaded) {
    if matches!(loaded.provenance.get("data"), None | Some(Source::Default)) {
        loaded.config.data = PathBuf::from("./coditect-demo");
    }
}

/// Says what to try, and sets the seats in motion.
pub(super) fn start(app: &App, access: DemoAccess) {
    explain(app, &access);
    tokio::spawn(live(Arc::clone(&app.services), access.license_key));
}

fn explain(app: &App, access: &DemoAccess) {
    let url = app.services.public_url();
    println!("\nDemo data, with seats that come and go. Try:\n");
    println!("  1. Take a seat:");
    println!("     curl -s {url}/api/v1/licenses/acquire -H 'Content-Type: application/json' \\");
    println!(
        "       -d '{{\"license_key\":\"{}\",\"hardware_id\":\"my-laptop\"}}'\n",
        access.license_key
    );
    println!("  2. Sign in to the admin page, {url}/admin");
    println!("     {}  password: {}  (made anew at each start)\n", access.email, access.password);
    println!("  3. Click through the API, {url}/docs\n");
}

/// Machines take seats, keep them for a while, and give them back, through the same
/// operations that real ones use.
async fn live(services: Arc<Services>, license_key: String) {
    let mut held = std::collections::HashMap::new();
    let mut ending = services.ending.subscribe();
    loop {
        let machine = services.entropy.below(MACHINES);
        if let Some(session_id) = held.remove(&machine) {
            let _ = services.release(session_id).await;
        } else {
            let ask = AcquireInput {
                license_key: license_key.clone(),
                hardware_id: format!("workstation-{machine:02}"),
                metadata: [("app".to_owned(), "Sample CAD 4.2".to_owned())].into(),
                wait_seconds: 0,
            };
            // A full licence is part of the picture: the page shows the denial.
            if let Ok(seat) = services.acquire(ask).await {
                held.insert(machine, seat.session_id);
            }
        }
        held.retain(|_, session_id| services.heartbeat(*session_id).is_ok());
        let pause = PACE.as_millis() as u32 / 2 + services.entropy.below(PACE.as_millis() as u32);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(pause.into())) => {}
            _ = ending.wait_for(Option::is_some) => return,
        }
    }
}
