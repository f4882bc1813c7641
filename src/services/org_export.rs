//! Everything that is stored of an organisation, for its owner to take along: read and given out a page
//! at a time, so that a large one takes no more memory than a small one.

use std::collections::VecDeque;
use std::sync::Arc;

use super::orgs::{Member, place};
use super::throttles::OrgWork;
use super::{Actor, Services};
use crate::domain::audit::{AuditEntry, AuditFilter, By};
use crate::domain::billing::Invoice;
use crate::domain::email_domain::OrgDomain;
use crate::domain::error::Result;
use crate::domain::ids::{LicenseId, OrgId, ProjectId};
use crate::domain::license::{Activation, License};
use crate::domain::organisation::{Invitation, Organisation, Permission};
use crate::domain::page::{Page, PageRequest};
use crate::domain::payment::Payment;
use crate::domain::provisioning::{DirectoryPerson, ProvisioningToken};
use crate::domain::subscription::Subscription;
use crate::domain::team::{Grant, Project, Team, TeamMember};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::seats::{Cursor, SessionView};
use crate::store::{self, ReadTx, audit, users};

/// Licences whose seats are looked up at once.
const LICENSES_AT_ONCE: usize = 200;

/// A record of the export.
pub enum Exported {
    /// The organisation itself.
    Organisation(Organisation),
    /// Somebody who belongs to it.
    Member(Member),
    /// Somebody who was asked to.
    Invitation(Invitation),
    /// A domain by which people may join.
    Domain(OrgDomain),
    /// A token of its directory.
    ProvisioningToken(ProvisioningToken),
    /// What its directory has said of somebody.
    Provisioned(DirectoryPerson),
    /// A team.
    Team(Team),
    /// Somebody who belongs to one.
    TeamMember(TeamMember, User),
    /// A licence.
    License(License),
    /// A licence that a team may use.
    Grant(Grant),
    /// A project.
    Project(Project),
    /// The project that a licence is grouped in.
    Grouped(ProjectId, LicenseId),
    /// A machine bound to one.
    Activation(Activation),
    /// A seat that was held, and as of when.
    Seat(SessionView, Timestamp),
    /// A subscription.
    Subscription(Subscription),
    /// A payment.
    Payment(Payment),
    /// An invoice.
    Invoice(Invoice),
    /// An entry of the audit log, with the address of whoever did it.
    Audit(AuditEntry, Option<String>),
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Organisation,
    Members,
    Invitations,
    Domains,
    ProvisioningTokens,
    Provisioned,
    Teams,
    TeamMembers,
    Licenses,
    Grants,
    Projects,
    Grouped,
    Activations,
    Seats,
    Subscriptions,
    Payments,
    Invoices,
    Audit,
    End,
}

/// An export under way: give out [`OrgExport::more`] until there is no more.
pub struct OrgExport {
    services: Arc<Services>,
    id: OrgId,
    part: Part,
    after: Option<Vec<u8>>,
    /// Licences whose seats come next, and where the first one's go on.
    holding: VecDeque<LicenseId>,
    seats_after: Option<Cursor>,
}

impl Services {
    /// Begins an export, for the owner; that it was made is an entry of the audit log.
    pub async fn export_org(self: &Arc<Self>, actor: &Actor, id: OrgId) -> Result<OrgExport> {
        self.store.read(|tx| place(tx, actor, id, Permission::OrgOwn))?;
        self.throttles.check_org_work(id, OrgWork::Export)?;
        let ctx = self.ctx_of(actor);
        self.commit(move |tx| ctx.audit(tx, Some(id), "org.exported", id, [])).await?;
        Ok(OrgExport {
            services: Arc::clone(self),
            id,
            part: Part::Organisation,
            after: None,
            holding: VecDeque::new(),
            seats_after: None,
        })
    }
}

impl OrgExport {
    /// The next records, sometimes not one; none when that was all.
    pub fn more(&mut self) -> Result<Option<Vec<Exported>>> {
        if self.part == Part::End {
            return Ok(None);
        }
        let some = if self.part == Part::Seats { self.seats()? } else { self.page()? };
        Ok(Some(some))
    }

    /// A page of what comes next.
    fn page(&mut self) -> Result<Vec<Exported>> {
        let services = Arc::clone(&self.services);
        let request = PageRequest { after: self.after.take(), ..PageRequest::first() };
        let (id, part) = (self.id, self.part);
        let page = services.store.read(|tx| read(tx, id, part, &request))?;
        self.go_on(page.next);
        Ok(page.items)
    }

    fn go_on(&mut self, after: Option<Vec<u8>>) {
        if after.is_none() {
            self.part = self.part.next();
        }
        self.after = after;
    }

    /// Seats of the next licence.
    fn seats(&mut self) -> Result<Vec<Exported>> {
        let Some(license_id) = self.holding.front().copied() else {
            let request = PageRequest { limit: LICENSES_AT_ONCE, after: self.after.take() };
            let page = self.services.store.read(|tx| store::org(tx, self.id).licenses(&request))?;
            self.holding.extend(page.items.iter().map(|license| license.license_id));
            if self.holding.is_empty() {
                self.part = self.part.next();
            }
            // The page after the last one is empty, which ends it.
            let last = page
                .items
                .last()
                .map(|license| store::Key::encode(&(license.org_id, license.license_id)));
            self.after = page.next.or(last);
            return Ok(Vec::new());
        };
        let now = self.services.clock.now();
        let page = self.services.desk.inner.lock().engine.sessions(
            now,
            license_id,
            self.seats_after,
            PageRequest::LIMIT_MAX,
        );
        self.seats_after = page.next;
        if page.next.is_none() {
            self.holding.pop_front();
        }
        Ok(page.items.into_iter().map(|seat| Exported::Seat(seat, now.wall)).collect())
    }
}

impl Part {
    fn next(self) -> Self {
        match self {
            Self::Organisation => Self::Members,
            Self::Members => Self::Invitations,
            Self::Invitations => Self::Domains,
            Self::Domains => Self::ProvisioningTokens,
            Self::ProvisioningTokens => Self::Provisioned,
            Self::Provisioned => Self::Teams,
            Self::Teams => Self::TeamMembers,
            Self::TeamMembers => Self::Licenses,
            Self::Licenses => Self::Grants,
            Self::Grants => Self::Projects,
            Self::Projects => Self::Grouped,
            Self::Grouped => Self::Activations,
            Self::Activations => Self::Seats,
            Self::Seats => Self::Subscriptions,
            Self::Subscriptions => Self::Payments,
            Self::Payments => Self::Invoices,
            Self::Invoices => Self::Audit,
            Self::Audit | Self::End => Self::End,
        }
    }
}

/// The address of whoever did it, unless that is one of the vendor's people.
fn email_of_no_operator(tx: &ReadTx, by: &By) -> Result<Option<String>> {
    let Some(user_id) = by.user_id() else { return Ok(None) };
    let user = users::find(tx, user_id)?.filter(|user| !user.operator);
    Ok(user.map(|user| user.email.as_str().to_owned()))
}

fn read(tx: &ReadTx, id: OrgId, part: Part, request: &PageRequest) -> Result<Page<Exported>> {
    let org = store::org(tx, id);
    let all = |items: Vec<Exported>| Page { items, next: None };
    Ok(match part {
        Part::Organisation => all(vec![Exported::Organisation(org.organisation()?)]),
        Part::Members => {
            let page = org.members(request)?;
            let seen = page.items.into_iter().map(|member| {
                let user = users::get(tx, member.user_id)?;
                Ok(Exported::Member(Member::seen_by_a_manager(member, user)))
            });
            Page { items: seen.collect::<Result<_>>()?, next: page.next }
        }
        Part::Invitations => {
            let open = org.invitations(PageRequest::LIMIT_MAX)?;
            all(open.into_iter().map(Exported::Invitation).collect())
        }
        Part::Domains => all(org.domains()?.into_iter().map(Exported::Domain).collect()),
        Part::ProvisioningTokens => {
            all(org.provisioning_tokens()?.into_iter().map(Exported::ProvisioningToken).collect())
        }
        Part::Provisioned => org.all_provisioned(request)?.map(Exported::Provisioned),
        Part::Teams => org.teams(request)?.map(Exported::Team),
        Part::TeamMembers => {
            let page = org.all_team_members(request)?;
            let seen = page.items.into_iter().map(|member| {
                let user = users::get(tx, member.user_id)?;
                Ok(Exported::TeamMember(member, user))
            });
            Page { items: seen.collect::<Result<_>>()?, next: page.next }
        }
        Part::Licenses => org.licenses(request)?.map(Exported::License),
        Part::Grants => org.all_grants(request)?.map(Exported::Grant),
        Part::Projects => org.projects(request)?.map(Exported::Project),
        Part::Grouped => org.grouped(request)?.map(|(project, of)| Exported::Grouped(project, of)),
        Part::Activations => org.all_activations(request)?.map(Exported::Activation),
        Part::Subscriptions => org.subscriptions(request)?.map(Exported::Subscription),
        Part::Payments => org.payments(request)?.map(Exported::Payment),
        Part::Invoices => org.invoices(request)?.map(Exported::Invoice),
        Part::Audit => {
            let filter = AuditFilter { org_id: Some(id), ..AuditFilter::default() };
            let page = audit::list(tx, &filter, request)?;
            let told = page.items.into_iter().map(|entry| {
                let email = email_of_no_operator(tx, &entry.by)?;
                Ok(Exported::Audit(entry, email))
            });
            Page { items: told.collect::<Result<_>>()?, next: page.next }
        }
        Part::Seats | Part::End => all(Vec::new()),
    })
}
