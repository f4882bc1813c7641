//! Who asks for something, and for which tenant.

use std::net::IpAddr;

use uuid::Uuid;

use super::sign_in::role_in;
use crate::domain::api_key::{ApiKey, Scope};
use crate::domain::audit::By;
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::{ApiKeyId, LoginId, OrgId, UserId};
use crate::domain::organisation::{Permission, Role};
use crate::domain::user::User;
use crate::store::{Read, WriteTx, api_keys, users};

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The client's address, or the one a trusted proxy names.
    pub address: IpAddr,
    /// What the client calls itself, cut to a bound.
    pub user_agent: String,
    /// Leads from an answer to the log; empty where nothing was asked over HTTP.
    pub request_id: String,
}

/// By what somebody may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A sign-in.
    SignIn(LoginId),
    /// A key that its owner made for programs.
    ApiKey(ApiKeyId),
    /// The local socket: whoever can open it could read the data as well. There is no account
    /// behind it; ids of user and tenant are nil, which no record has.
    Local,
}

/// Who asks for something.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Who.
    pub user_id: UserId,
    /// By what.
    pub via: Via,
    /// For which tenant. Read through [`Actor::org`], which asks the role.
    org_id: OrgId,
    /// What the person is there.
    role: Role,
    /// What the key may do of that; none: all of it.
    scopes: Option<Vec<Scope>>,
    /// Whether the person runs this appliance.
    pub operator: bool,
    /// Whether the person's account has a second factor.
    pub(super) second_factor: bool,
    /// Where the request comes from.
    pub caller: Caller,
}

impl Actor {
    /// A person who acts for a tenant.
    pub(crate) fn new(
        user: &User,
        via: Via,
        (org_id, role): (OrgId, Role),
        caller: Caller,
    ) -> Self {
        let second_factor = user.second_factor_since.is_some();
        let (user_id, operator) = (user.user_id, user.operator);
        Self { user_id, via, org_id, role, scopes: None, operator, second_factor, caller }
    }

    /// The same as far as the key goes.
    pub(super) fn with_key(mut self, key: &ApiKey) -> Self {
        self.operator &= key.covers(Scope::Operator);
        self.scopes.clone_from(&key.scopes);
        self
    }

    /// The same as it stands by now. A request may have waited behind one that ended its sign-in or key, closed
    /// the account or took rights away: whatever gives something lasting asks this in its transaction, or is
    /// [guarded](Actor::guarded).
    ///
    /// # Errors
    /// `Unauthenticated` when sign-in, key or account have ended; `NotFound` when the person belongs to the
    /// tenant no more.
    pub(super) fn still(&self, tx: &impl Read) -> Result<Self> {
        let key = match self.via {
            Via::Local => return Ok(self.clone()),
            Via::SignIn(id) => users::login(tx, self.user_id, id)?.map(|_| None),
            Via::ApiKey(id) => api_keys::find(tx, self.user_id, id)?.map(Some),
        };
        let user = users::find(tx, self.user_id)?.filter(|user| user.deactivated_at.is_none());
        let (Some(key), Some(user)) = (key, user) else {
            let text = "This sign-in or API key has ended meanwhile; sign in again.";
            return Err(Error::new(Code::Unauthenticated, text));
        };
        let place = (self.org_id, role_in(tx, &user, self.org_id)?);
        let actor = Self::new(&user, self.via, place, self.caller.clone());
        Ok(match &key {
            Some(key) => actor.with_key(key),
            None => actor,
        })
    }

    /// A change that is made only by somebody whose rights are, when its turn comes, what they were when it was
    /// asked for.
    ///
    /// # Errors
    /// Those of [`Actor::still`]; `Forbidden` when the rights are others.
    pub(super) fn guarded<T>(
        &self,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> impl FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static {
        let asked = self.clone();
        move |tx| {
            let now = asked.still(tx)?;
            if (now.operator, now.role) != (asked.operator, asked.role) {
                let text = "Your rights have changed while this was under way. Ask again.";
                return Err(Error::new(Code::Forbidden, text));
            }
            change(tx)
        }
    }

    /// Refuses what somebody who has this role may not do, or what the key was not made for. Operators may
    /// do everything in every organisation.
    pub(super) fn require(&self, role: Role, permission: Permission) -> Result<()> {
        if self.operator {
            return Ok(());
        }
        self.require_own(role, permission)
    }

    fn require_own(&self, role: Role, permission: Permission) -> Result<()> {
        require(role, permission)?;
        if self.covers(permission) {
            return Ok(());
        }
        let text = format!(
            "This API key was not made for that: it does not cover {}.",
            permission.as_str()
        );
        Err(Error::new(Code::Forbidden, text))
    }

    fn covers(&self, permission: Permission) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.contains(&Scope::Org(permission)))
    }

    /// Refuses keys that were made for something in particular.
    pub(super) fn require_whole(&self) -> Result<()> {
        if self.scopes.is_none() {
            return Ok(());
        }
        let text =
            "This API key was made for something else; a whole one, or a sign-in, may do that.";
        Err(Error::new(Code::Forbidden, text))
    }

    /// Whether the person, whatever the key, may do that.
    pub(super) fn could(&self, scope: Scope) -> bool {
        match scope {
            Scope::Org(permission) => self.role.may(permission),
            Scope::Operator => self.operator,
        }
    }

    /// The tenant it acts for, where its role there allows that.
    pub fn org(&self, permission: Permission) -> Result<OrgId> {
        self.require_own(self.role, permission).map(|()| self.org_id)
    }

    /// The tenant it acts for, to be named in the audit log or on a key; nothing is read with it.
    pub(super) fn named_org(&self) -> OrgId {
        self.org_id
    }

    /// Whether it may reach a tenant at all: a key reaches the one it was made for.
    pub(super) fn reaches(&self, org_id: OrgId) -> bool {
        !matches!(self.via, Via::ApiKey(_)) || self.operator || self.org_id == org_id
    }

    /// Whether its role allows that, or it runs this appliance.
    pub fn may(&self, permission: Permission) -> bool {
        self.operator || (self.role.may(permission) && self.covers(permission))
    }

    /// Refuses everybody but operators.
    pub fn require_operator(&self) -> Result<()> {
        if self.operator {
            return Ok(());
        }
        Err(Error::new(Code::Forbidden, "Only an operator of this appliance may do that."))
    }

    /// The sign-in of a person who is there: what concerns passwords, sign-ins and keys is not for
    /// programs.
    pub fn require_sign_in(&self) -> Result<LoginId> {
        match self.via {
            Via::SignIn(login_id) => Ok(login_id),
            Via::ApiKey(_) | Via::Local => Err(Error::new(
                Code::Forbidden,
                "That is for a person who has signed in with a password, not for a program.",
            )),
        }
    }

    /// Refuses API keys.
    pub(super) fn refuse_programs(&self) -> Result<()> {
        match self.via {
            Via::SignIn(_) | Via::Local => Ok(()),
            Via::ApiKey(_) => self.require_sign_in().map(drop),
        }
    }

    /// Refuses everybody but whoever administers the computer.
    pub fn require_local(&self) -> Result<()> {
        if self.via == Via::Local {
            return Ok(());
        }
        Err(Error::new(
            Code::Forbidden,
            "That can be done over the local socket in the data folder alone.",
        ))
    }

    /// As the audit log names the actor.
    pub fn by(&self) -> By {
        match self.via {
            Via::SignIn(_) | Via::ApiKey(_) => By::User(self.user_id),
            Via::Local => By::Local,
        }
    }

    /// Whoever administers the computer, at its command line.
    pub fn of_the_computer() -> Self {
        Self::local(Caller {
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            user_agent: "coditect".to_owned(),
            request_id: String::new(),
        })
    }

    /// Whoever administers the computer.
    pub fn local(caller: Caller) -> Self {
        Self {
            user_id: UserId(Uuid::nil()),
            via: Via::Local,
            org_id: OrgId(Uuid::nil()),
            role: Role::Owner,
            scopes: None,
            operator: true,
            second_factor: true,
            caller,
        }
    }
}

/// Refuses a role that does not allow that.
fn require(role: Role, permission: Permission) -> Result<()> {
    if role.may(permission) {
        return Ok(());
    }
    let text = format!(
        "Your role in this organisation is {:?}, which does not include {}. Ask its owner or an admin.",
        role.as_str(),
        permission.as_str()
    );
    Err(Error::new(Code::Forbidden, text))
}
