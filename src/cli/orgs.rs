//! Commands about organisations and who belongs to them.

use std::path::PathBuf;

use clap::Subcommand;

use super::operator::{Consent, Paging};
use super::org_parts::{
    DomainCommand, ProjectCommand, ProvisioningCommand, SsoCommand, TeamCommand,
};

/// What a member can be made.
pub(super) const ROLES: [&str; 3] = ["admin", "billing", "member"];

/// Organisations. Each is named by its id, its name, or the e-mail address of whoever owns it and no other.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum OrgCommand {
    /// List organisations
    #[command(after_help = "Example:\n  coditect org list --query example")]
    List {
        /// Only those with all of these words in their name
        #[arg(long, value_name = "WORDS")]
        query: Option<String>,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one organisation, also one that was erased
    #[command(after_help = "Example:\n  coditect org show 'Example Ltd'")]
    Show {
        /// Its id, its name, or its owner's e-mail address
        org: String,
    },
    /// Give an organisation another name
    #[command(after_help = "Example:\n  coditect org rename 'Example Ltd' 'Example GmbH'")]
    Rename {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// What people are to call it
        name: String,
    },
    /// Give an organisation to another member; whoever owned it is an admin from then on
    ///
    /// An API key may not do this: run it on the server's own computer.
    #[command(after_help = "Example:\n  coditect org transfer 'Example Ltd' zoe@example.com --yes")]
    Transfer {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The member's e-mail address or id
        user: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
    /// Say whether people need a second factor to act for an organisation
    ///
    /// Members without one are asked to set it up; API keys are not concerned. An API key may not do this: run
    /// it on the server's own computer.
    #[command(after_help = "Example:\n  coditect org second-factor 'Example Ltd' required")]
    SecondFactor {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// Whether they do
        #[arg(value_parser = ["required", "optional"])]
        need: String,
    },
    /// List who belongs to an organisation
    #[command(after_help = "Example:\n  coditect org members 'Example Ltd'")]
    Members {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Make somebody else of a member
    #[command(after_help = "Example:\n  coditect org role 'Example Ltd' ada@example.com admin")]
    Role {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The member's e-mail address or id
        user: String,
        /// What they are to be
        #[arg(value_parser = ROLES)]
        role: String,
    },
    /// Remove a member: they lose access at once, and their keys for the organisation open nothing
    #[command(after_help = "Example:\n  coditect org remove 'Example Ltd' ada@example.com --yes")]
    Remove {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The member's e-mail address or id
        user: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
    /// Ask somebody to join, by a mail whose link works for seven days
    #[command(
        after_help = "Example:\n  coditect org invite 'Example Ltd' zoe@example.com --role billing"
    )]
    Invite {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// Who is asked
        email: String,
        /// What they are to be
        #[arg(long, value_parser = ROLES, default_value = "member")]
        role: String,
    },
    /// List who was asked to join and has not answered
    #[command(after_help = "Example:\n  coditect org invitations 'Example Ltd'")]
    Invitations {
        /// Its id, its name, or its owner's e-mail address
        org: String,
    },
    /// Mail an invitation once more, with a new link
    #[command(after_help = "Example:\n  coditect org resend 'Example Ltd' zoe@example.com")]
    Resend {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// Who was asked
        email: String,
    },
    /// Take an invitation back
    #[command(after_help = "Example:\n  coditect org revoke 'Example Ltd' zoe@example.com")]
    Revoke {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// Who was asked
        email: String,
    },
    /// Write everything that is stored of an organisation to a file, as lines of JSON
    #[command(after_help = "Example:\n  coditect org export 'Example Ltd' example.jsonl")]
    Export {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// The file, which must not be there yet
        out: PathBuf,
    },
    /// Have an organisation deleted, once the time to take that back is over
    ///
    /// Its licences work until then. Cancel first what Stripe bills. An API key may not do this: run it on
    /// the server's own computer.
    #[command(after_help = "Example:\n  coditect org delete 'Example Ltd' --yes")]
    Delete {
        /// Its id, its name, or its owner's e-mail address
        org: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
    /// Take back that an organisation is to be deleted
    #[command(after_help = "Example:\n  coditect org restore 'Example Ltd'")]
    Restore {
        /// Its id, its name, or its owner's e-mail address
        org: String,
    },
    /// Teams, who belongs to them and which licences they may use
    Team {
        /// What to do.
        #[command(subcommand)]
        command: TeamCommand,
    },
    /// Projects, in which licences are grouped
    Project {
        /// What to do.
        #[command(subcommand)]
        command: ProjectCommand,
    },
    /// Domains by whose addresses people join
    Domain {
        /// What to do.
        #[command(subcommand)]
        command: DomainCommand,
    },
    /// The issuer that members sign in through
    Sso {
        /// What to do.
        #[command(subcommand)]
        command: SsoCommand,
    },
    /// The tokens by which the organisation's directory provisions its people
    Provisioning {
        /// What to do.
        #[command(subcommand)]
        command: ProvisioningCommand,
    },
}
