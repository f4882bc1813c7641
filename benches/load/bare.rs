//! The reference: a JSON POST endpoint of the heartbeat's shape that does nothing, made as the
//! framework's own documentation makes one, in a process of its own.

use poem::listener::{Acceptor, Listener, TcpListener};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi, OpenApiService};
use uuid::Uuid;

/// The hidden argument under which this benchmark's binary is the reference server.
pub const ARGUMENT: &str = "bare-reference-server";
/// Where it answers.
pub const PATH: &str = "/heartbeat";

#[derive(Object)]
struct Ask {
    session_id: Uuid,
}

#[derive(Object)]
struct Alive {
    status: String,
    expires_in: u32,
    expires_at: String,
    license_status: String,
}

struct Bare;

#[OpenApi]
#[allow(clippy::unused_async, reason = "the framework has operations be async")]
impl Bare {
    #[oai(path = "/heartbeat", method = "post")]
    async fn heartbeat(&self, body: Json<Ask>) -> Json<Alive> {
        // Reads its input, so that nothing of the parsing can be left out.
        let license_status = if body.0.session_id.is_nil() { "expired" } else { "active" };
        Json(Alive {
            status: "alive".to_owned(),
            expires_in: 360,
            expires_at: "2027-01-01T00:00:00.000Z".to_owned(),
            license_status: license_status.to_owned(),
        })
    }
}

/// Serves until it is killed. Prints its address as the product does.
pub fn serve() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.expect("a free port");
        let address = acceptor.local_addr().remove(0);
        let address = address.as_socket_addr().expect("a TCP address").to_owned();
        println!("  Address   http://{address}");
        let service = OpenApiService::new(Bare, "bare", "1");
        poem::Server::new_with_acceptor(acceptor)
            .run(poem::Route::new().nest("/", service))
            .await
            .expect("it serves until it is killed");
    });
}
