//! Who asks: the caller of every request, and the person behind a bearer token.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use poem::http::header;
use poem::{FromRequest, Request, RequestBody};
use poem_openapi::SecurityScheme;
use poem_openapi::auth::{Bearer, BearerAuthorization as _};

use super::problem::Problem;
use crate::domain::error::{Code, Error};
use crate::services::{Actor, Caller, Services};

/// The id of a request, in its answer and in every log line about it.
#[derive(Clone)]
pub struct RequestId(pub Arc<str>);

/// Longer names of clients are cut.
const USER_AGENT_MAX: usize = 200;

/// Marks a request that came over the local socket: whoever can open that may do everything. Only
/// [`super::Local`] sets it.
#[derive(Clone, Copy)]
pub struct OverLocalSocket;

/// A person who has signed in, or a program with an API key: `Authorization: Bearer <access token>`
/// or `Bearer cdt_...`.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", key_name = "Authorization", checker = "authenticate")]
pub struct Person(pub Actor);

/// The same, where a second factor is set up: also for whoever needs one for everything else.
#[derive(SecurityScheme)]
#[oai(
    rename = "Person",
    ty = "bearer",
    key_name = "Authorization",
    checker = "authenticate_to_enrol"
)]
pub struct Enrolling(pub Actor);

async fn authenticate(request: &Request, bearer: Bearer) -> poem::Result<Actor> {
    who(request, bearer, false).await
}

async fn authenticate_to_enrol(request: &Request, bearer: Bearer) -> poem::Result<Actor> {
    who(request, bearer, true).await
}

async fn who(request: &Request, bearer: Bearer, to_enrol: bool) -> poem::Result<Actor> {
    let Some(services) = request.data::<Arc<Services>>() else {
        return Err(Problem(Error::internal("no services behind the route")).into());
    };
    if request.data::<OverLocalSocket>().is_some() {
        return Ok(Actor::local(caller(request)));
    }
    // One that cannot be read, or two, name nothing that there is.
    let mut named = request.headers().get_all(ORGANISATION).iter();
    let org = named.next().map(|value| match (value.to_str(), named.next()) {
        (Ok(value), None) => value,
        _ => "",
    });
    let (token, caller) = (&bearer.token, caller(request));
    let actor = if to_enrol {
        services.authenticate_to_enrol(token, org, caller).await
    } else {
        services.authenticate(token, org, caller).await
    };
    actor.map_err(|error| Problem(error).into())
}

/// Names the organisation that a request is for; left out: the person's own, or the one that an API key
/// was made for.
pub const ORGANISATION: &str = "coditect-organisation";

/// Whoever has signed in, or nobody: a bearer token is looked at where there is one. Not in the document,
/// which has no word for it.
pub struct Anybody(pub Option<Actor>);

impl<'a> FromRequest<'a> for Anybody {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        // What a proxy asks for by other schemes is not meant for this server.
        let Ok(bearer) = Bearer::from_request(request) else { return Ok(Self(None)) };
        authenticate(request, bearer).await.map(|actor| Self(Some(actor)))
    }
}

/// Where the request comes from.
pub struct From(pub Caller);

impl<'a> FromRequest<'a> for From {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(caller(request)))
    }
}

pub(super) fn caller(request: &Request) -> Caller {
    let user_agent = request.header(header::USER_AGENT).unwrap_or_default();
    let request_id = request.data::<RequestId>().map(|id| id.0.to_string()).unwrap_or_default();
    Caller {
        address: address(request),
        user_agent: user_agent.chars().filter(|c| !c.is_control()).take(USER_AGENT_MAX).collect(),
        request_id,
    }
}

/// The client's address. `X-Forwarded-For` is believed from a trusted proxy alone, and then
/// read from its end: what stands further left was written by the client.
pub fn address(request: &Request) -> IpAddr {
    let peer = request
        .remote_addr()
        .as_socket_addr()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), std::net::SocketAddr::ip);
    let Some(services) = request.data::<Arc<Services>>() else { return peer };
    let proxies = &services.config.server.trusted_proxies;
    if !proxies.contains(peer) {
        return peer;
    }
    let forwarded =
        request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
    let mut nearest = peer;
    for hop in hops.into_iter().rev() {
        // What cannot be read was not written by a proxy that is to be trusted.
        let Some(address) = hop_address(hop.trim()) else { break };
        nearest = address;
        if !proxies.contains(address) {
            break;
        }
    }
    nearest
}

/// `203.0.113.5`, `203.0.113.5:4711`, `2001:db8::5`, `[2001:db8::5]` or `[2001:db8::5]:4711`.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let with_port = || hop.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(with_port)
}

/// An ill-formed id in a path is an unknown one.
pub fn path_id<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|_| Problem(Error::new(Code::NotFound, format!("There is no such {what}."))))
}
