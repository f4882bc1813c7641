//! SCIM 2.0 (RFC 7643, RFC 7644): an organisation's directory keeps its people and groups here.

mod answer;
mod discovery;
mod patch;
mod wire;

use std::sync::Arc;

use poem::Request;
use poem_openapi::auth::Bearer;
use poem_openapi::param::{Path, Query};
use poem_openapi::types::Any;
use poem_openapi::{OpenApi, SecurityScheme};
use serde_json::Value;

use self::answer::{Body, Refusal, Scim, ScimCreated, ScimGone, Wanted};
pub use self::answer::{in_scim, is_spoken_at};
use self::wire::{ScimGroup, ScimList, ScimUser, Shown, list};
use super::Tag;
use super::auth::{caller, path_id};
use super::problem::Problem;
use crate::domain::error::{Error, Result};
use crate::domain::ids::OrgId;
use crate::domain::provisioning::{Condition, GroupStep, PersonChange, parse_filter};
use crate::services::Services;
use crate::services::provisioning::{Directory, LISTED_MAX, Part};

/// How many are listed unless asked otherwise.
const LISTED_USUALLY: usize = 100;
/// The most groups that are listed with their members.
const GROUPS_LISTED_MAX: usize = 25;

/// The calls of directories.
pub struct Provisioned {
    /// The operations.
    pub services: Arc<Services>,
}

type Answer<T> = std::result::Result<T, Refusal>;

/// A directory: `Authorization: Bearer cds_...`, a provisioning token of this organisation. Nothing else
/// opens these calls, and it opens no others.
#[derive(SecurityScheme)]
#[oai(rename = "Directory", ty = "bearer", key_name = "Authorization", checker = "authenticate")]
pub struct Known(Directory);

async fn authenticate(request: &Request, bearer: Bearer) -> poem::Result<Directory> {
    let Some(services) = request.data::<Arc<Services>>() else {
        return Err(Problem(Error::internal("no services behind the route")).into());
    };
    let path = request.original_uri().path();
    let org = path.strip_prefix("/api/v1/orgs/").and_then(|rest| rest.split('/').next());
    let known = services
        .authenticate_directory(&bearer.token, org.unwrap_or_default(), caller(request))
        .await;
    known.map_err(|error| Problem(error).into())
}

/// What is wanted of a list.
struct Asked {
    conditions: Vec<Condition>,
    part: Part,
}

impl Asked {
    fn new(filter: Option<&str>, start_index: Option<i64>, count: Option<i64>) -> Result<Self> {
        let conditions = parse_filter(filter.unwrap_or_default())?;
        // Less than the first is the first, less than none is none (RFC 7644, section 3.4.2.4).
        let skip =
            start_index.map_or(0, |first| usize::try_from(first.saturating_sub(1)).unwrap_or(0));
        let count = count.map_or(LISTED_USUALLY, |count| usize::try_from(count).unwrap_or(0));
        Ok(Self { conditions, part: Part { skip, count: count.min(LISTED_MAX) } })
    }
}

impl Provisioned {
    fn base(&self, org_id: OrgId) -> String {
        format!("{}/api/v1/orgs/{org_id}/scim/v2", self.services.public_url())
    }

    fn shown(&self, known: &Known, only: Option<&str>, without: Option<&str>) -> Shown {
        Shown { base: self.base(known.0.org_id()), wanted: Wanted::new(only, without) }
    }

    fn one_of(all: Vec<Value>, id: &str, what: &str) -> Result<Value> {
        let found = all.into_iter().find(|it| it["id"] == id);
        found.ok_or_else(|| Error::not_found(what))
    }
}

#[OpenApi(prefix_path = "/api/v1/orgs", tag = "Tag::Provisioning")]
impl Provisioned {
    /// What of SCIM this server can do
    #[oai(
        path = "/:org_id/scim/v2/ServiceProviderConfig",
        method = "get",
        operation_id = "scim_config"
    )]
    async fn scim_config(&self, known: Known, org_id: Path<String>) -> Answer<Scim<Any<Value>>> {
        let _ = org_id;
        let base = self.base(known.0.org_id());
        Ok(Scim::new(discovery::config(&base, self.services.public_url())))
    }

    /// The kinds of resources
    #[oai(
        path = "/:org_id/scim/v2/ResourceTypes",
        method = "get",
        operation_id = "scim_resource_types"
    )]
    async fn scim_resource_types(
        &self,
        known: Known,
        org_id: Path<String>,
    ) -> Answer<Scim<ScimList>> {
        let _ = org_id;
        let all = discovery::resource_types(&self.base(known.0.org_id()));
        Ok(Scim::new(list(all.len(), 0, &all)))
    }

    /// A kind of resource
    #[oai(
        path = "/:org_id/scim/v2/ResourceTypes/:kind",
        method = "get",
        operation_id = "scim_resource_type"
    )]
    async fn scim_resource_type(
        &self,
        known: Known,
        org_id: Path<String>,
        kind: Path<String>,
    ) -> Answer<Scim<Any<Value>>> {
        let _ = org_id;
        let all = discovery::resource_types(&self.base(known.0.org_id()));
        Ok(Scim::new(Self::one_of(all, &kind.0, "resource type")?))
    }

    /// The schemas of the resources
    #[oai(path = "/:org_id/scim/v2/Schemas", method = "get", operation_id = "scim_schemas")]
    async fn scim_schemas(&self, known: Known, org_id: Path<String>) -> Answer<Scim<ScimList>> {
        let _ = org_id;
        let all = discovery::schemas(&self.base(known.0.org_id()));
        Ok(Scim::new(list(all.len(), 0, &all)))
    }

    /// A schema
    #[oai(path = "/:org_id/scim/v2/Schemas/:schema", method = "get", operation_id = "scim_schema")]
    async fn scim_schema(
        &self,
        known: Known,
        org_id: Path<String>,
        schema: Path<String>,
    ) -> Answer<Scim<Any<Value>>> {
        let _ = org_id;
        let all = discovery::schemas(&self.base(known.0.org_id()));
        Ok(Scim::new(Self::one_of(all, &schema.0, "schema")?))
    }

    /// People and groups that a filter fits
    ///
    /// The body is a search request of RFC 7644, section 3.4.3. People come first.
    #[oai(path = "/:org_id/scim/v2/.search", method = "post", operation_id = "scim_search")]
    async fn scim_search(
        &self,
        known: Known,
        org_id: Path<String>,
        body: Body,
    ) -> Answer<Scim<ScimList>> {
        let _ = org_id;
        let request = patch::search(&body.0)?;
        let (first, count) = (request.start_index, request.count);
        let mut asked = Asked::new(request.filter.as_deref(), first, count)?;
        let only = request.attributes.map(|names| names.join(","));
        let without = request.excluded_attributes.map(|names| names.join(","));
        let shown = self.shown(&known, only.as_deref(), without.as_deref());
        let Asked { conditions, part } = &mut asked;
        let with_members = shown.wanted.has("members");
        if with_members {
            part.count = part.count.min(GROUPS_LISTED_MAX);
        }
        let found = self.services.search_provisioned(&known.0, conditions, *part, with_members)?;
        let (people, groups) = found;
        let total = people.total + groups.total;
        let people = people.items.into_iter().map(|person| shown.user(person));
        let groups = groups.items.into_iter().map(|group| shown.group(group));
        let all = people.chain(groups).collect::<Result<Vec<_>>>()?;
        Ok(Scim::new(list(total, asked.part.skip, &all)))
    }

    /// People
    ///
    /// Whoever belongs to the organisation, and whoever the directory has deactivated. A filter is
    /// `userName`, `externalId`, `emails.value`, `id`, `displayName` or `active`, then `eq` and a value;
    /// several joined by `and`.
    #[oai(path = "/:org_id/scim/v2/Users", method = "get", operation_id = "scim_list_users")]
    #[allow(clippy::too_many_arguments, reason = "each is a parameter of the standard")]
    async fn scim_list_users(
        &self,
        known: Known,
        org_id: Path<String>,
        filter: Query<Option<String>>,
        #[oai(name = "startIndex")] start_index: Query<Option<i64>>,
        count: Query<Option<i64>>,
        attributes: Query<Option<String>>,
        #[oai(name = "excludedAttributes")] excluded: Query<Option<String>>,
    ) -> Answer<Scim<ScimList>> {
        let _ = org_id;
        let asked = Asked::new(filter.0.as_deref(), start_index.0, count.0)?;
        let shown = self.shown(&known, attributes.0.as_deref(), excluded.0.as_deref());
        let found = self.services.provisioned_people(&known.0, &asked.conditions, asked.part)?;
        Ok(Scim::new(shown.users(found, asked.part.skip)?))
    }

    /// Let somebody belong to the organisation
    ///
    /// `userName` is the e-mail address, at a domain that the organisation has proved to be its own; the
    /// account of that address joins, and one without a password is made where there is none. Attributes
    /// that this server does not keep are let be.
    #[oai(path = "/:org_id/scim/v2/Users", method = "post", operation_id = "scim_create_user")]
    async fn scim_create_user(
        &self,
        known: Known,
        org_id: Path<String>,
        body: Body,
        attributes: Query<Option<String>>,
        #[oai(name = "excludedAttributes")] excluded: Query<Option<String>>,
    ) -> Answer<ScimCreated<ScimUser>> {
        let _ = org_id;
        let person = self.services.provision_person(&known.0, patch::person(&body.0)?).await?;
        let shown = self.shown(&known, attributes.0.as_deref(), excluded.0.as_deref());
        let location = format!("{}/Users/{}", shown.base, person.user.user_id);
        Ok(ScimCreated::new(shown.user(person)?, location))
    }

    /// One person
    #[oai(path = "/:org_id/scim/v2/Users/:user_id", method = "get", operation_id = "scim_get_user")]
    async fn scim_get_user(
        &self,
        known: Known,
        org_id: Path<String>,
        user_id: Path<String>,
        attributes: Query<Option<String>>,
        #[oai(name = "excludedAttributes")] excluded: Query<Option<String>>,
    ) -> Answer<Scim<ScimUser>> {
        let _ = org_id;
        let id = path_id(&user_id.0, "user")?;
        let shown = self.shown(&known, attributes.0.as_deref(), excluded.0.as_deref());
        Ok(Scim::new(shown.user(self.services.provisioned_person(&known.0, id)?)?))
    }

    /// Say anew what the directory knows of a person
    ///
    /// What is left out of names and ids is forgotten; `active` left out stays.
    #[oai(
        path = "/:org_id/scim/v2/Users/:user_id",
        method = "put",
        operation_id = "scim_replace_user"
    )]
    async fn scim_replace_user(
        &self,
        known: Known,
        org_id: Path<String>,
        user_id: Path<String>,
        body: Body,
        attributes: Query<Option<String>>,
        #[oai(name = "excludedAttributes")] excluded: Query<Option<String>>,
    ) -> Answer<Scim<ScimUser>> {
        let _ = org_id;
        let id = path_id(&user_id.0, "user")?;
        let whole = patch::person(&body.0)?;
        let change = PersonChange { user_name: Some(whole.user_name), ..whole.said };
        let person = self.services.change_provisioned_person(&known.0, id, change).await?;
        let shown = self.shown(&known, attributes.0.as_deref(), excluded.0.as_deref());
        Ok(Scim::new(shown.user(person)?))
    }

    /// Change what the directory knows of a person
    ///
    /// `active` false ends the membership, with the sign-ins and keys that act for the organisation; true
    /// begins it again. The owner stays.
    #[oai(
        path = "/:org_id/scim/v2/Users/:user_id",
        method = "patch",
        operation_id = "scim_change_user"
    )]
    async fn scim_change_user(
        &self,
        known: Known,
        org_id: Path<String>,
        user_id: Path<String>,
        body: Body,
        attributes: Query<Option<String>>,
        #[oai(name = "excludedAttributes")] excluded: Query<Option<String>>,
    ) -> Answer<Scim<ScimUser>> {
        let _ = org_id;
        let id = path_id(&user_id.0, "user")?;
        let change = patch::person_change(&body.0)?;
        let person = self.services.change_provisioned_person(&known.0, id, change).await?;
        let shown = self.shown(&known, attributes.0.as_deref(), excluded.0.as_deref());
        Ok(Scim::new(shown.user(person)?))
    }

    /// Forget a person
    ///
    /// The membership ends as with `active` false. The account stays the person's own.
    #[oai(
        path = "/:org_id/scim/v2/Users/:user_id",
        method = "delete",
        operation_id = "scim_delete_user"
    )]
    async fn scim_delete_user(
        &self,
        known: Known,
        org_id: Path<String>,
        user_id: Path<String>,
    ) -> Answer<ScimGone> {
        let _ = org_id;
        let id = path_id(&user_id.0, "user")?;
        self.services.remove_provisioned_person(&known.0, id).await?;
        Ok(ScimGone)
    }

    /// Groups
    ///
    /// The directory's own; teams that were made by hand are not among them. A filter is `displayName`,
    /// `externalId`, `id` or `members.value`, then `eq` and a value; several joined by `and`.
    #[oai(path = "/:org_id/scim/v2/Groups", method = "get", operation_id = "scim_list_groups")]
    #[allow(clippy::too_many_arguments, reason = "each is a parameter of the standard")]
    async fn scim_list_groups(
        &self,
        known: Known,
        org_id: Path<String>,
        filter: Query<Option<String>>,
        #[oai(name = "startIndex")] start_index: Query<Option<i64>>,
        count: Query<Option<i64>>,
        attributes: Query<Option<String>>,
        #[oai(name = "excludedAttributes")] excluded: Query<Option<String>>,
    ) -> Answer<Scim<ScimList>> {
        let _ = org_id;
        let Asked { conditions, mut part } =
            Asked::new(filter.0.as_deref(), start_index.0, count.0)?;
        let shown = self.shown(&known, attributes.0.as_deref(), excluded.0.as_deref());
        let with_members = shown.wanted.has("members");
        if with_members {
            part.count = part.count.min(GROUPS_LISTED_MAX);
        }
        let found = self.services.provisioned_groups(&known.0, &conditions, part, with_members)?;
        Ok(Scim::new(shown.groups(found, part.skip)?))
    }

    /// Make a group
    ///
    /// It is a team of the organisation. One of that name that was made by hand becomes the directory's.
    #[oai(path = "/:org_id/scim/v2/Groups", method = "post", operation_id = "scim_create_group")]
    async fn scim_create_group(
        &self,
        known: Known,
        org_id: Path<String>,
        body: Body,
        attributes: Query<Option<String>>,
        #[oai(name = "excludedAttributes")] excluded: Query<Option<String>>,
    ) -> Answer<ScimCreated<ScimGroup>> {
        let _ = org_id;
        let group = self.services.provision_group(&known.0, patch::group(&body.0)?).await?;
        let shown = self.shown(&known, attributes.0.as_deref(), excluded.0.as_deref());
        let location = format!("{}/Groups/{}", shown.base, group.team.team_id);
        Ok(ScimCreated::new(shown.group(group)?, location))
    }

    /// One group
    #[oai(
        path = "/:org_id/scim/v2/Groups/:team_id",
        method = "get",
        operation_id = "scim_get_group"
    )]
    async fn scim_get_group(
        &self,
        known: Known,
        org_id: Path<String>,
        team_id: Path<String>,
        attributes: Query<Option<String>>,
        #[oai(name = "excludedAttributes")] excluded: Query<Option<String>>,
    ) -> Answer<Scim<ScimGroup>> {
        let _ = org_id;
        let id = path_id(&team_id.0, "group")?;
        let shown = self.shown(&known, attributes.0.as_deref(), excluded.0.as_deref());
        Ok(Scim::new(shown.group(self.services.provisioned_group(&known.0, id)?)?))
    }

    /// Say anew what a group is called and who belongs to it
    #[oai(
        path = "/:org_id/scim/v2/Groups/:team_id",
        method = "put",
        operation_id = "scim_replace_group"
    )]
    async fn scim_replace_group(
        &self,
        known: Known,
        org_id: Path<String>,
        team_id: Path<String>,
        body: Body,
        attributes: Query<Option<String>>,
        #[oai(name = "excludedAttributes")] excluded: Query<Option<String>>,
    ) -> Answer<Scim<ScimGroup>> {
        let _ = org_id;
        let id = path_id(&team_id.0, "group")?;
        let whole = patch::group(&body.0)?;
        let steps = vec![
            GroupStep::Name(whole.name),
            GroupStep::ExternalId(whole.external_id),
            GroupStep::Replace(whole.members),
        ];
        let group = self.services.change_provisioned_group(&known.0, id, steps).await?;
        let shown = self.shown(&known, attributes.0.as_deref(), excluded.0.as_deref());
        Ok(Scim::new(shown.group(group)?))
    }

    /// Change what a group is called and who belongs to it
    #[oai(
        path = "/:org_id/scim/v2/Groups/:team_id",
        method = "patch",
        operation_id = "scim_change_group"
    )]
    async fn scim_change_group(
        &self,
        known: Known,
        org_id: Path<String>,
        team_id: Path<String>,
        body: Body,
        attributes: Query<Option<String>>,
        #[oai(name = "excludedAttributes")] excluded: Query<Option<String>>,
    ) -> Answer<Scim<ScimGroup>> {
        let _ = org_id;
        let id = path_id(&team_id.0, "group")?;
        let steps = patch::group_steps(&body.0)?;
        let group = self.services.change_provisioned_group(&known.0, id, steps).await?;
        let shown = self.shown(&known, attributes.0.as_deref(), excluded.0.as_deref());
        Ok(Scim::new(shown.group(group)?))
    }

    /// Delete a group
    ///
    /// Nobody leaves the organisation by that.
    #[oai(
        path = "/:org_id/scim/v2/Groups/:team_id",
        method = "delete",
        operation_id = "scim_delete_group"
    )]
    async fn scim_delete_group(
        &self,
        known: Known,
        org_id: Path<String>,
        team_id: Path<String>,
    ) -> Answer<ScimGone> {
        let _ = org_id;
        let id = path_id(&team_id.0, "group")?;
        self.services.remove_provisioned_group(&known.0, id).await?;
        Ok(ScimGone)
    }
}
