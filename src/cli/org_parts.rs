//! Commands about the parts of an organisation: teams, projects, domains and single sign-on.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::operator::{Consent, Paging, number};
use super::orgs::ROLES;

/// Teams. Each is named by its id or its name.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum TeamCommand {
    /// List the teams of an organisation
    #[command(after_help = "Example:\n  coditect org team list 'Example Ltd'")]
    List {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Make a team
    #[command(after_help = "Example:\n  coditect org team create 'Example Ltd' Weavers")]
    Create {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// What people call it
        name: String,
    },
    /// Give a team another name
    #[command(after_help = "Example:\n  coditect org team rename 'Example Ltd' Weavers Spinners")]
    Rename {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The team's name or id
        team: String,
        /// What people are to call it
        name: String,
    },
    /// Delete a team: no seat is kept for it any more; its members stay in the organisation
    #[command(after_help = "Example:\n  coditect org team delete 'Example Ltd' Weavers --yes")]
    Delete {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The team's name or id
        team: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
    /// List who belongs to a team
    #[command(after_help = "Example:\n  coditect org team members 'Example Ltd' Weavers")]
    Members {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The team's name or id
        team: String,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Add a member of the organisation to a team, or say what they are there
    #[command(
        after_help = "Example:\n  coditect org team add 'Example Ltd' Weavers ada@example.com --role maintainer"
    )]
    Add {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The team's name or id
        team: String,
        /// The member's e-mail address or id
        user: String,
        /// What they are to be: a maintainer says who belongs to the team, too
        #[arg(long, value_parser = ["maintainer", "member"], default_value = "member")]
        role: String,
    },
    /// Take somebody out of a team
    #[command(
        after_help = "Example:\n  coditect org team remove 'Example Ltd' Weavers ada@example.com"
    )]
    Remove {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The team's name or id
        team: String,
        /// The member's e-mail address or id
        user: String,
    },
    /// List the licences that a team may use
    #[command(after_help = "Example:\n  coditect org team licenses 'Example Ltd' Weavers")]
    Licenses {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The team's name or id
        team: String,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Let a team use a licence, with seats that are kept for it
    #[command(
        after_help = "Example:\n  coditect org team grant 'Example Ltd' Weavers CODITECT-7K2M-9QRT-4XWZ-3HJN-5VBC --seats 3"
    )]
    Grant {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The team's name or id
        team: String,
        /// The licence's key, its id, or the e-mail address of whom it belongs to
        license: String,
        /// Seats to keep for the team
        #[arg(long, value_name = "N", value_parser = number, default_value = "0")]
        seats: u32,
    },
    /// Take back that a team may use a licence
    #[command(
        after_help = "Example:\n  coditect org team withdraw 'Example Ltd' Weavers CODITECT-7K2M-9QRT-4XWZ-3HJN-5VBC"
    )]
    Withdraw {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The team's name or id
        team: String,
        /// The licence's key, its id, or the e-mail address of whom it belongs to
        license: String,
    },
}

/// Projects, in which licences are grouped. Each is named by its id or its name.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum ProjectCommand {
    /// List the projects of an organisation
    #[command(after_help = "Example:\n  coditect org project list 'Example Ltd'")]
    List {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Make a project
    #[command(after_help = "Example:\n  coditect org project create 'Example Ltd' Indigo")]
    Create {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// What people call it
        name: String,
    },
    /// Give a project another name
    #[command(after_help = "Example:\n  coditect org project rename 'Example Ltd' Indigo Madder")]
    Rename {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The project's name or id
        project: String,
        /// What people are to call it
        name: String,
    },
    /// Archive a project: nothing is added to it any more
    #[command(after_help = "Example:\n  coditect org project archive 'Example Ltd' Indigo")]
    Archive {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The project's name or id
        project: String,
    },
    /// Open a project again that was archived
    #[command(after_help = "Example:\n  coditect org project reopen 'Example Ltd' Indigo")]
    Reopen {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The project's name or id
        project: String,
    },
    /// Delete a project; its licences stay what they are
    #[command(after_help = "Example:\n  coditect org project delete 'Example Ltd' Indigo --yes")]
    Delete {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The project's name or id
        project: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
    /// Group a licence in a project; it leaves the one that it was in
    #[command(
        after_help = "Example:\n  coditect org project add 'Example Ltd' Indigo CODITECT-7K2M-9QRT-4XWZ-3HJN-5VBC"
    )]
    Add {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The project's name or id
        project: String,
        /// The licence's key, its id, or the e-mail address of whom it belongs to
        license: String,
    },
    /// Take a licence out of a project
    #[command(
        after_help = "Example:\n  coditect org project remove 'Example Ltd' Indigo CODITECT-7K2M-9QRT-4XWZ-3HJN-5VBC"
    )]
    Remove {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The project's name or id
        project: String,
        /// The licence's key, its id, or the e-mail address of whom it belongs to
        license: String,
    },
}

/// Domains by whose addresses people join an organisation.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum DomainCommand {
    /// List the domains of an organisation, each with the TXT record that proves it
    #[command(after_help = "Example:\n  coditect org domain list 'Example Ltd'")]
    List {
        /// Its id, its name, or its owner's e-mail address
        org: String,
    },
    /// Add a domain, and print the TXT record that proves it
    #[command(after_help = "Example:\n  coditect org domain add 'Example Ltd' example.com")]
    Add {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The domain
        domain: String,
    },
    /// Look whether the TXT record of a domain is there
    #[command(after_help = "Example:\n  coditect org domain verify 'Example Ltd' example.com")]
    Verify {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The domain
        domain: String,
    },
    /// Confirm a domain without its record, where you know that it is the organisation's
    #[command(
        after_help = "Example:\n  coditect org domain confirm 'Example Ltd' example.com --yes"
    )]
    Confirm {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The domain
        domain: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
    /// Say as what people with an address at a domain join
    #[command(after_help = "Examples:
  coditect org domain joining 'Example Ltd' example.com member
  coditect org domain joining 'Example Ltd' example.com off")]
    Joining {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The domain
        domain: String,
        /// As what
        #[arg(value_parser = ["off", "member", "billing"])]
        join: String,
    },
    /// Remove a domain; who has joined by it stays
    #[command(
        after_help = "Example:\n  coditect org domain remove 'Example Ltd' example.com --yes"
    )]
    Remove {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The domain
        domain: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
}

/// The issuer that an organisation's members sign in through.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum SsoCommand {
    /// Show the issuer, or what to register with one before it is set
    #[command(after_help = "Example:\n  coditect org sso show 'Example Ltd'")]
    Show {
        /// Its id, its name, or its owner's e-mail address
        org: String,
    },
    /// Name the issuer; it is asked at once
    ///
    /// Takes the place of what was set before. The client's secret alone stays where it is left out, and issuer and
    /// client stay the same. An API key may not do this: run it on the server's own computer.
    #[command(after_help = "Examples:
  coditect org sso set 'Example Ltd' --issuer https://login.example.com --client-id coditect --client-secret-file secret --group it=admin --default-role member
  pass show coditect | coditect org sso set 'Example Ltd' --issuer https://login.example.com --client-id coditect --client-secret-file -")]
    Set {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// What is set.
        #[command(flatten)]
        sso: Box<SsoTerms>,
    },
    /// Take the issuer away: nobody is signed in through it any more
    ///
    /// Who belongs to the organisation stays. An API key may not do this: run it on the server's own computer.
    #[command(after_help = "Example:\n  coditect org sso remove 'Example Ltd' --yes")]
    Remove {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
}

/// The tokens by which an organisation's directory provisions its people.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum ProvisioningCommand {
    /// List the tokens, without their secrets, and where the directory speaks SCIM
    #[command(after_help = "Example:\n  coditect org provisioning list 'Example Ltd'")]
    List {
        /// Its id, its name, or its owner's e-mail address
        org: String,
    },
    /// Make a token, and print its secret, once
    ///
    /// There are two at most, so that one can take over from the other. The owner is told by mail. An API key
    /// may not do this: run it on the server's own computer.
    #[command(
        after_help = "Example:\n  coditect org provisioning create 'Example Ltd' 'Entra ID' --expires-in-days 365"
    )]
    Create {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// Which directory it is for
        name: String,
        /// From then on it opens nothing [default: it works until it is revoked]
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
        expires_in_days: Option<u32>,
    },
    /// Revoke a token: it opens nothing from now on
    ///
    /// With the last one the directory's teams become ordinary ones; who belongs to the organisation stays. An
    /// API key may not do this: run it on the server's own computer.
    #[command(
        after_help = "Example:\n  coditect org provisioning revoke 'Example Ltd' 'Entra ID' --yes"
    )]
    Revoke {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The token's name, its first characters, or its id
        token: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
}

/// An issuer, and what its groups make of people.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub struct SsoTerms {
    /// The issuer, as its discovery document writes it
    #[arg(long, value_name = "URL")]
    pub issuer: String,
    /// What the issuer calls this server
    #[arg(long, value_name = "ID")]
    pub client_id: String,
    /// Read the client's secret from this file; - is standard input
    #[arg(long, value_name = "FILE")]
    pub client_secret_file: Option<PathBuf>,
    /// What is asked of the issuer [default: openid email profile]
    #[arg(long, value_name = "WORDS")]
    pub scopes: Option<String>,
    /// The claim that lists a person's groups [default: groups]
    #[arg(long, value_name = "NAME")]
    pub groups_claim: Option<String>,
    /// What a group makes of a person, as in it=admin; may be given several times, and the first that fits counts
    #[arg(long = "group", value_name = "GROUP=ROLE")]
    pub groups: Vec<GroupRole>,
    /// What everybody else is; needed where no group is named [default: they do not belong to the organisation]
    #[arg(long, value_parser = ROLES)]
    pub default_role: Option<String>,
}

/// What a group makes of a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupRole {
    /// As the issuer calls it.
    pub group: String,
    /// `admin`, `billing` or `member`.
    pub role: String,
}

impl FromStr for GroupRole {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Groups may have the sign in their names; roles have not.
        match text.rsplit_once('=') {
            Some((group, role)) if !group.is_empty() && ROLES.contains(&role) => {
                Ok(Self { group: group.to_owned(), role: role.to_owned() })
            }
            _ => Err("write group=role, the role being admin, billing or member"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_group_makes_stands_behind_its_last_sign() {
        let read = |text: &str| text.parse::<GroupRole>().map(|it| (it.group, it.role));
        let made = |group: &str, role: &str| Ok((group.to_owned(), role.to_owned()));
        assert_eq!(read("it=admin"), made("it", "admin"));
        assert_eq!(read("cn=it,dc=example=member"), made("cn=it,dc=example", "member"));
        for wrong in ["it", "=admin", "it=owner", "it=", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
