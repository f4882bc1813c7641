//! The same API on the socket in the data folder, where no credential is asked for.

use std::sync::Arc;

use poem::http::{HeaderValue, header};
use poem::{Endpoint, IntoResponse, Request, Response};

use super::auth::OverLocalSocket;
use super::problem::{Cause, Problem};
use crate::domain::error::Error;

/// Marks every request as the computer's administrator's: whoever can open the socket could read the
/// database as well.
pub struct Local<E>(Arc<E>);

impl<E> Local<E> {
    /// The server, over the local socket.
    pub fn new(server: Arc<E>) -> Self {
        Self(server)
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for Local<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        request.set_data(OverLocalSocket);
        // The framework asks for the header before it asks who that is.
        let here = HeaderValue::from_static("Bearer local");
        request.headers_mut().insert(header::AUTHORIZATION, here);
        let response = self.0.call(request).await?;
        // Whoever administers the computer may read the log: the cause is what helps.
        let Some(cause) = response.data::<Cause>() else { return Ok(response) };
        let mut error = Error::internal(&cause.internal);
        error.detail.clone_from(&cause.internal);
        Ok(Problem(error).into_response())
    }
}
