//! Asking the domain name system what the owner of a domain has written there.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RData;

/// How long one server is waited for.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Longer lists are not read on.
const TEXTS_MAX: usize = 100;

/// Nobody can be asked just now.
#[derive(Debug, thiserror::Error)]
#[error("no name server answers: {0}")]
pub struct Away(String);

/// Whom to ask.
#[derive(Clone, Debug)]
pub struct Names {
    server: Option<SocketAddr>,
}

impl Names {
    /// This server, or those that the computer is set up with.
    pub fn new(server: Option<SocketAddr>) -> Self {
        Self { server }
    }

    /// The texts (TXT records) under a name; none where there is no such name.
    ///
    /// Nothing is remembered: whoever has just written a record wants to see it found.
    ///
    /// # Errors
    /// When no server answers, or none can say.
    pub async fn texts(&self, name: &str) -> Result<Vec<String>, Away> {
        let away = |error: NetError| Away(error.to_string());
        let answer = match self.resolver().map_err(away)?.txt_lookup(format!("{name}.")).await {
            Ok(answer) => answer,
            Err(error) if is_nothing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(away(error)),
        };
        let texts = answer.answers().iter().filter_map(|record| match &record.data {
            // Long texts are cut into pieces, which belong together (RFC 7208, section 3.3).
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        });
        Ok(texts.take(TEXTS_MAX).collect())
    }

    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let provider = TokioRuntimeProvider::default();
        let mut builder = match self.server {
            None => TokioResolver::builder_tokio()?,
            Some(server) => {
                let at_port = |mut connection: ConnectionConfig| {
                    connection.port = server.port();
                    connection
                };
                let connections =
                    vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
                let server = NameServerConfig::new(server.ip(), true, connections);
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
                TokioResolver::builder_with_config(config, provider)
            }
        };
        let options: &mut ResolverOpts = builder.options_mut();
        options.cache_size = 0;
        options.timeout = TIMEOUT;
        options.attempts = 2;
        builder.build()
    }
}

/// Whether somebody who knows said that there is nothing.
fn is_nothing(error: &NetError) -> bool {
    matches!(
        error,
        NetError::Dns(DnsError::NoRecordsFound(NoRecords {
            response_code: ResponseCode::NoError | ResponseCode::NXDomain,
            ..
        }))
    )
}
