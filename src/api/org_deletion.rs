//! Taking an organisation along, and taking its deletion back.

use std::io;
use std::sync::Arc;

use futures_util::stream;
use poem::http::header;
use poem::{Body, IntoResponse, Response};
use poem_openapi::param::Path;
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::{ApiResponse, OpenApi};
use serde::Serialize;
use serde_json::{Value, json};

use super::audit::Audit;
use super::auth::{Person, path_id};
use super::billing::Invoice;
use super::email_domains::OrgDomain;
use super::json::Json;
use super::licenses::{Activation, License};
use super::orgs::{Invitation, Member, Membership};
use super::people::Org;
use super::provisioning::{ProvisionedPerson, ProvisioningToken};
use super::seats::holder;
use super::subscriptions::{Payment, Subscription};
use super::teams::{Grant, Project, Team, TeamMember};
use super::{Answer, Tag};
use crate::domain::error::{Error, Result};
use crate::domain::ids::OrgId;
use crate::mail::messages::shorten_key;
use crate::services::Services;
use crate::services::org_export::{Exported, OrgExport};

/// The calls about the end of organisations.
pub struct OrgDeletion {
    /// The operations.
    pub services: Arc<Services>,
}

/// What of an entry of the audit log is the server's alone.
const OF_THE_SERVER: [&str; 5] = ["address", "user_agent", "request_id", "api_key_id", "hash"];

/// An organisation as lines of JSON.
pub struct OrgFile {
    name: String,
    body: Body,
}

impl IntoResponse for OrgFile {
    fn into_response(self) -> Response {
        let attachment = format!("attachment; filename=\"{}\"", self.name);
        Response::builder()
            .content_type("application/jsonl")
            .header(header::CONTENT_DISPOSITION, attachment)
            .body(self.body)
    }
}

impl ApiResponse for OrgFile {
    fn meta() -> MetaResponses {
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        let response = MetaResponse {
            description: "The records, one on each line, to be saved as a file",
            status: Some(200),
            status_range: None,
            content: vec![MetaMediaType { content_type: "application/jsonl", schema }],
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_: &mut Registry) {}
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Organisations")]
impl OrgDeletion {
    /// Everything that is stored of an organisation
    ///
    /// For its owner: one record of JSON on each line, with its `kind`: the `organisation`, then each
    /// `member`, `invitation`, `domain`, `provisioning_token`, `provisioned` person, `team`, `team_member`, `license`, `team_license`, `project`, `project_license`,
    /// `activation`, `seat`, `subscription`, `payment`, `invoice` and `audit` entry, and `end` with their number. Without what opens something: of a licence key the end is
    /// shown, of a seat no session id. A file without `end` is not whole.
    #[oai(path = "/orgs/:org_id/export", method = "get", operation_id = "export_org")]
    async fn export_org(&self, person: Person, org_id: Path<String>) -> Answer<OrgFile> {
        let id: OrgId = path_id(&org_id.0, "organisation")?;
        let export = self.services.export_org(&person.0, id).await?;
        let walk = Walk { services: Arc::clone(&self.services), export, lines: 0, ended: false };
        // A piece that cannot be read breaks the connection: what came is not whole, and shows it.
        let pieces = stream::try_unfold(walk, async |mut walk| {
            let mut piece = walk.next().map_err(io::Error::other)?;
            // Others get their turn although nothing here waits.
            while piece.as_ref().is_some_and(String::is_empty) {
                tokio::task::yield_now().await;
                piece = walk.next().map_err(io::Error::other)?;
            }
            Ok::<_, io::Error>(piece.map(|piece| (piece, walk)))
        });
        let name = format!("coditect-organisation-{id}.jsonl");
        Ok(OrgFile { name, body: Body::from_bytes_stream(pieces) })
    }

    /// Take back that an organisation is to be deleted
    ///
    /// For its owner who has signed in, and operators, before `deletion_due_at`.
    #[oai(path = "/orgs/:org_id/restore", method = "post", operation_id = "restore_org")]
    async fn restore_org(&self, person: Person, org_id: Path<String>) -> Answer<Json<Membership>> {
        let id = path_id(&org_id.0, "organisation")?;
        Ok(Json(self.services.restore_org(&person.0, id).await?.into()))
    }
}

struct Walk {
    services: Arc<Services>,
    export: OrgExport,
    lines: u64,
    ended: bool,
}

impl Walk {
    fn next(&mut self) -> Result<Option<String>> {
        if self.ended {
            return Ok(None);
        }
        let Some(some) = self.export.more()? else {
            self.ended = true;
            let end = json!({"kind": "end", "records": self.lines});
            return Ok(Some(format!("{end}\n")));
        };
        let mut piece = String::new();
        for record in some {
            self.lines += 1;
            piece.push_str(&self.line(record)?);
            piece.push('\n');
        }
        Ok(Some(piece))
    }

    fn line(&self, record: Exported) -> Result<String> {
        let (kind, mut record) = match record {
            Exported::Organisation(org) => ("organisation", value(Org::from((org, None)))?),
            Exported::Member(member) => ("member", value(Member::from(member))?),
            Exported::Invitation(invitation) => {
                ("invitation", value(Invitation::from(invitation))?)
            }
            Exported::Domain(domain) => ("domain", value(OrgDomain::from(domain))?),
            Exported::ProvisioningToken(token) => {
                ("provisioning_token", value(ProvisioningToken::from(token))?)
            }
            Exported::Provisioned(person) => {
                ("provisioned", value(ProvisionedPerson::from(person))?)
            }
            Exported::Team(team) => ("team", value(Team::from(team))?),
            Exported::TeamMember(member, user) => {
                ("team_member", value(TeamMember::from((member, user)))?)
            }
            Exported::Grant(grant) => ("team_license", value(Grant::from(grant))?),
            Exported::Project(project) => ("project", value(Project::from(project))?),
            Exported::Grouped(project_id, license_id) => {
                ("project_license", json!({"project_id": project_id, "license_id": license_id}))
            }
            Exported::License(license) => {
                let shown = shorten_key(&license.license_key);
                let mut license = value(License::of(&self.services, license))?;
                license["license_key"] = Value::String(shown);
                ("license", license)
            }
            Exported::Activation(activation) => {
                ("activation", value(Activation::from(activation))?)
            }
            Exported::Seat(seat, as_of) => {
                ("seat", without(value(holder(seat, None, as_of))?, &["session_id"]))
            }
            Exported::Subscription(it) => ("subscription", value(Subscription::from(it))?),
            Exported::Payment(payment) => ("payment", value(Payment::from(payment))?),
            Exported::Invoice(invoice) => ("invoice", value(Invoice::from(invoice))?),
            Exported::Audit(entry, email) => {
                ("audit", without(value(Audit::from((entry, email)))?, &OF_THE_SERVER))
            }
        };
        record["kind"] = Value::String(kind.to_owned());
        Ok(record.to_string())
    }
}

fn value(record: impl Serialize) -> Result<Value> {
    serde_json::to_value(record).map_err(Error::internal)
}

fn without(mut record: Value, fields: &[&str]) -> Value {
    if let Some(record) = record.as_object_mut() {
        for field in fields {
            record.remove(*field);
        }
    }
    record
}
