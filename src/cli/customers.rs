//! Commands about customers and what they have: licences, users, plans, subscriptions, payments.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::operator::{Consent, FeatureFlag, Most, Paging, Until, number};

/// Licences.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum LicenseCommand {
    /// List licences, newest first
    #[command(after_help = "Examples:
  coditect license list --status grace
  coditect license list --query 'ada example'
  coditect license list --all --json | jq -r '.items[].license_key'")]
    List {
        /// Only those with this status
        #[arg(long, value_parser = ["inactive", "active", "grace", "suspended", "expired", "revoked"])]
        status: Option<String>,
        /// Only those with all of these words in key, e-mail, name, company or an activated hardware id
        #[arg(long, value_name = "WORDS")]
        query: Option<String>,
        /// Only those of this organisation: its id, its name, or the e-mail address of its owner
        #[arg(long)]
        org: Option<String>,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one licence
    #[command(after_help = "Example:\n  coditect license show CODITECT-7K2M-9QRT-4XWZ-3HJN-5VBC")]
    Show {
        /// Its key, its id, or the e-mail address of whom it belongs to
        license: String,
    },
    /// Issue a licence
    ///
    /// It is signed and mailed to its owner at once.
    #[command(after_help = "Examples:
  coditect license issue --email ada@example.com --plan Team
  coditect license issue --org 'Example Ltd' --seats 25 --until 2030-12-31 --feature export=true")]
    Issue(IssueLicense),
    /// Suspend a licence
    ///
    /// It stops working: those who hold seats are told at their next heartbeat. Only `license
    /// reinstate` lifts it, no payment does.
    #[command(after_help = "Example:
  coditect license suspend CODITECT-7K2M-9QRT-4XWZ-3HJN-5VBC --reason 'chargeback of invoice 4711'")]
    Suspend {
        /// Its key, its id, or the e-mail address of whom it belongs to
        license: String,
        /// Why; its owner is told
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Lift a suspension
    #[command(after_help = "Example:\n  coditect license reinstate ada@example.com")]
    Reinstate {
        /// Its key, its id, or the e-mail address of whom it belongs to
        license: String,
    },
    /// Revoke a licence for good
    #[command(after_help = "Example:
  coditect license revoke CODITECT-7K2M-9QRT-4XWZ-3HJN-5VBC --yes")]
    Revoke {
        /// Its key, its id, or the e-mail address of whom it belongs to
        license: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
    /// Move the end of a licence
    ///
    /// For one that no subscription pays for; the others follow their payments.
    #[command(after_help = "Examples:
  coditect license extend ada@example.com --until 2030-12-31
  coditect license extend ada@example.com --until never")]
    Extend {
        /// Its key, its id, or the e-mail address of whom it belongs to
        license: String,
        /// The new end: a day (to its end, in UTC), a moment (RFC 3339), or never
        #[arg(long, value_name = "WHEN")]
        until: Until,
    },
    /// Change the number of seats
    ///
    /// Below what is in use, those who hold seats finish, and nobody is admitted until there is room.
    #[command(after_help = "Example:\n  coditect license resize ada@example.com --seats 50")]
    Resize {
        /// Its key, its id, or the e-mail address of whom it belongs to
        license: String,
        /// Seats that may be held at once
        #[arg(long, value_name = "N", value_parser = number)]
        seats: u32,
    },
    /// Print or write the signed licence file
    ///
    /// For machines without a network.
    #[command(after_help = "Examples:
  coditect license file ada@example.com > license.lic
  coditect license file ada@example.com --out license.lic")]
    File {
        /// Its key, its id, or the e-mail address of whom it belongs to
        license: String,
        /// Write to this file, which must not exist, instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Mail key and signed file to the owner again
    #[command(after_help = "Example:\n  coditect license resend ada@example.com")]
    Resend {
        /// Its key, its id, or the e-mail address of whom it belongs to
        license: String,
    },
    /// List who holds its seats
    #[command(after_help = "Example:\n  coditect license sessions ada@example.com")]
    Sessions {
        /// Its key, its id, or the e-mail address of whom it belongs to
        license: String,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// List the machines bound to it
    #[command(after_help = "Example:\n  coditect license activations ada@example.com")]
    Activations {
        /// Its key, its id, or the e-mail address of whom it belongs to
        license: String,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Unbind a machine, so that another one can be activated
    #[command(after_help = "Example:\n  coditect license deactivate ada@example.com ada-laptop")]
    Deactivate {
        /// Its key, its id, or the e-mail address of whom it belongs to
        license: String,
        /// The machine's hardware id, or the id of the activation
        machine: String,
    },
    /// List what was done to it, newest first
    #[command(after_help = "Example:\n  coditect license history ada@example.com")]
    History {
        /// Its key, its id, or the e-mail address of whom it belongs to
        license: String,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
}

/// A licence to issue.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
#[command(group = clap::ArgGroup::new("customer").required(true))]
pub struct IssueLicense {
    /// For the person with this e-mail address
    #[arg(long, value_name = "ADDRESS", group = "customer")]
    pub email: Option<String>,
    /// For this organisation: its id, its name, or the e-mail address of its owner
    #[arg(long, group = "customer")]
    pub org: Option<String>,
    /// As this plan says: its name or id
    #[arg(long, required_unless_present = "seats")]
    pub plan: Option<String>,
    /// Seats that may be held at once [default: the plan's]
    #[arg(long, value_name = "N", value_parser = number)]
    pub seats: Option<u32>,
    /// Machines that may be activated [default: the plan's]
    #[arg(long, value_name = "N", value_parser = number)]
    pub activations: Option<u32>,
    /// Its end: a day (to its end, in UTC), a moment (RFC 3339), or never [default: never]
    #[arg(long, value_name = "WHEN")]
    pub until: Option<Until>,
    /// What it grants besides seats, as export=true, projects=20 or tier=gold; repeat it for more [default: the plan's]
    #[arg(long = "feature", value_name = "NAME=VALUE")]
    pub features: Vec<FeatureFlag>,
}

/// Users.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum UserCommand {
    /// List users
    #[command(after_help = "Example:\n  coditect user list --query ada")]
    List {
        /// Only those with all of these words in e-mail address, name or company
        #[arg(long, value_name = "WORDS")]
        query: Option<String>,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one user
    #[command(after_help = "Example:\n  coditect user show ada@example.com")]
    Show {
        /// E-mail address or id
        user: String,
    },
    /// Make an account for a customer who has not registered
    ///
    /// A link to choose a password with is mailed to the address. Licences can be issued at once.
    #[command(after_help = "Example:
  coditect user create ada@example.com --name 'Ada Lovelace' --company 'Example Ltd'")]
    Create {
        /// E-mail address
        email: String,
        /// The person's name
        #[arg(long, value_name = "NAME")]
        name: String,
        /// The company
        #[arg(long, value_name = "NAME")]
        company: Option<String>,
    },
    /// Make accounts for the people of another system, who keep their passwords
    ///
    /// The file has one JSON object a line: `email`, `full_name`, and where there is one `company_name`,
    /// `password_hash` (bcrypt, argon2, or as Django writes it) and `email_verified`. Whoever has an account
    /// already is passed over, so that the same file can be imported again.
    #[command(after_help = "Example:\n  coditect user import people.jsonl")]
    Import {
        /// The file; `-` reads standard input
        file: PathBuf,
    },
    /// Close an account: its owner is signed out and cannot sign in
    ///
    /// Licences go on working. `user reactivate` opens the account again; an operator's rights have ended.
    #[command(after_help = "Example:\n  coditect user deactivate ada@example.com --yes")]
    Deactivate {
        /// E-mail address or id
        user: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
    /// Correct the address of a user who mistyped it
    ///
    /// Make sure that it is them who ask: whoever reads the new address gets the account. Both addresses are told. The
    /// password, sign-ins, API keys and linked accounts end, and a link to choose a password with goes to the new address.
    #[command(
        after_help = "Example:\n  coditect user set-email ada@exmaple.com ada@example.com --yes"
    )]
    SetEmail {
        /// E-mail address or id
        user: String,
        /// The right address
        email: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
    /// End every sign-in of a user, who has to sign in anew; API keys stay
    #[command(after_help = "Example:\n  coditect user sign-out ada@example.com")]
    SignOut {
        /// E-mail address or id
        user: String,
    },
    /// Open a closed account again
    #[command(after_help = "Example:\n  coditect user reactivate ada@example.com")]
    Reactivate {
        /// E-mail address or id
        user: String,
    },
    /// Switch a user's second factor off: the phone and the recovery codes are lost
    ///
    /// Make sure that it is them who ask: signing in takes the password alone then. They are told by mail.
    #[command(after_help = "Example:\n  coditect user remove-second-factor ada@example.com --yes")]
    RemoveSecondFactor {
        /// E-mail address or id
        user: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
    /// Say who runs this server
    Operator {
        /// What to do.
        #[command(subcommand)]
        command: OperatorCommand,
    },
}

/// Who runs the server.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum OperatorCommand {
    /// Make a user an operator
    #[command(after_help = "Example:\n  coditect user operator grant ada@example.com")]
    Grant {
        /// E-mail address or id
        user: String,
    },
    /// Make an operator an ordinary user; the last operator stays one
    #[command(after_help = "Example:\n  coditect user operator revoke ada@example.com")]
    Revoke {
        /// E-mail address or id
        user: String,
    },
}

/// Plans.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum PlanCommand {
    /// List plans, archived ones included
    #[command(after_help = "Example:\n  coditect plan list")]
    List {
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one plan
    #[command(after_help = "Example:\n  coditect plan show Team")]
    Show {
        /// Name or id
        plan: String,
    },
    /// Put a plan on sale
    #[command(after_help = "Example:
  coditect plan create Team --seats 10 --monthly 99 --currency EUR --trial-days 14 --feature export=true")]
    Create {
        /// What it is called
        name: String,
        /// Seats of its licences
        #[arg(long, value_name = "N", value_parser = number)]
        seats: u32,
        /// Price of a month, in units of the currency, as 99 or 99.50
        #[arg(long, value_name = "AMOUNT")]
        monthly: String,
        /// The currency (ISO 4217)
        #[arg(long, value_name = "CODE")]
        currency: String,
        /// The rest.
        #[command(flatten)]
        terms: PlanTerms,
    },
    /// Change a plan
    ///
    /// What is not named stays. Licences that were issued keep what they grant.
    #[command(after_help = "Example:\n  coditect plan update Team --monthly 109 --yearly 1090")]
    Update {
        /// Name or id
        plan: String,
        /// What it is called from now on
        #[arg(long)]
        name: Option<String>,
        /// Seats of its licences
        #[arg(long, value_name = "N", value_parser = number)]
        seats: Option<u32>,
        /// Price of a month, in units of the currency, as 99 or 99.50
        #[arg(long, value_name = "AMOUNT")]
        monthly: Option<String>,
        /// The currency (ISO 4217)
        #[arg(long, value_name = "CODE")]
        currency: Option<String>,
        /// The rest.
        #[command(flatten)]
        terms: PlanTerms,
    },
    /// Take a plan from sale; existing subscriptions keep it
    #[command(after_help = "Example:\n  coditect plan archive Team")]
    Archive {
        /// Name or id
        plan: String,
    },
    /// Put an archived plan on sale again
    #[command(after_help = "Example:\n  coditect plan restore Team")]
    Restore {
        /// Name or id
        plan: String,
    },
}

/// What a plan may say besides seats and price.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub struct PlanTerms {
    /// Price of a year, in units of the currency, or none
    #[arg(long, value_name = "AMOUNT")]
    pub yearly: Option<String>,
    /// Days of trial; 0: none [default for a new plan: 14]
    #[arg(long, value_name = "DAYS")]
    pub trial_days: Option<u32>,
    /// Machines that may be activated, or none for no limit [default for a new plan: none]
    #[arg(long, value_name = "N")]
    pub activations: Option<Most>,
    /// What the pricing page says of it
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Whether the public list shows it [default for a new plan: true]
    #[arg(long, value_name = "true|false", hide_possible_values = true)]
    pub public: Option<bool>,
    /// Stripe's price of a month, price_..., or none [default: made at the first payment page]
    #[arg(long, value_name = "PRICE")]
    pub stripe_monthly_price: Option<String>,
    /// Stripe's price of a year, price_..., or none
    #[arg(long, value_name = "PRICE")]
    pub stripe_yearly_price: Option<String>,
    /// Where it stands on the pricing page, lower numbers first
    #[arg(long, value_name = "N", value_parser = number)]
    pub position: Option<u32>,
    /// What it grants besides seats, as export=true, projects=20 or tier=gold; repeat it for more
    #[arg(long = "feature", value_name = "NAME=VALUE")]
    pub features: Vec<FeatureFlag>,
}

/// Subscriptions.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum SubscriptionCommand {
    /// List subscriptions, newest first
    #[command(after_help = "Example:\n  coditect subscription list --status past_due")]
    List {
        /// Only those with this status
        #[arg(long, value_parser = ["trialing", "active", "past_due", "canceled", "unpaid", "incomplete"])]
        status: Option<String>,
        /// Only those of this organisation: its id, its name, or the e-mail address of its owner
        #[arg(long)]
        org: Option<String>,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// End a subscription with the period that is paid, or at once
    #[command(after_help = "Examples:
  coditect subscription cancel ada@example.com
  coditect subscription cancel ada@example.com --now --yes")]
    Cancel {
        /// Its id, the e-mail address of whom it belongs to, or the key of its licence
        subscription: String,
        /// At once, not with the period
        #[arg(long)]
        now: bool,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
    /// Change plan, interval or number of a subscription
    ///
    /// The licence follows at once. Where Stripe bills it, the difference is paid at once.
    #[command(after_help = "Examples:
  coditect subscription change ada@example.com --plan Studio
  coditect subscription change ada@example.com --quantity 3 --interval year")]
    Change {
        /// Its id, the e-mail address of whom it belongs to, or the key of its licence
        subscription: String,
        /// Another plan: its name or id
        #[arg(long)]
        plan: Option<String>,
        /// Paid by the month or by the year
        #[arg(long, value_parser = ["month", "year"])]
        interval: Option<String>,
        /// How many times the plan's seats
        #[arg(long, value_name = "N", value_parser = number)]
        quantity: Option<u32>,
    },
    /// Take a cancellation back
    #[command(after_help = "Example:\n  coditect subscription resume ada@example.com")]
    Resume {
        /// Its id, the e-mail address of whom it belongs to, or the key of its licence
        subscription: String,
    },
}

/// Invoices of the payment provider.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum InvoiceCommand {
    /// List invoices, newest first
    #[command(after_help = "Example:\n  coditect invoice list --org ada@example.com")]
    List {
        /// Only those of this organisation: its id, its name, or the e-mail address of its owner
        #[arg(long)]
        org: Option<String>,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
}

/// Payments.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum PaymentCommand {
    /// List payments, newest first
    #[command(after_help = "Example:\n  coditect payment list --org ada@example.com")]
    List {
        /// Only those of this organisation: its id, its name, or the e-mail address of its owner
        #[arg(long)]
        org: Option<String>,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Record a payment that arrived by other ways, such as a bank transfer, a purchase order or a credit
    ///
    /// It extends or revives a subscription, or starts one for a customer and a plan; the licence
    /// follows at once.
    #[command(after_help = "Examples:
  coditect payment record --subscription ada@example.com --reference 'transfer 4711'
  coditect payment record --org ada@example.com --plan Team --interval year --amount 990 --currency EUR
  coditect payment record --subscription ada@example.com --kind purchase-order --reference 'PO 4713' --due-days 20
  coditect payment record --subscription ada@example.com --kind credit --reference 'outage of 3 May'")]
    Record(RecordPayment),
    /// Withdraw a purchase order: its money will not come
    #[command(
        after_help = "Example:\n  coditect payment withdraw 0198a6c1-3f4b-7c52-9b1e-6a1d0c2b7e11"
    )]
    Withdraw {
        /// The id of the payment, as `coditect payment list` shows it
        payment: String,
    },
    /// Settle a purchase order: its money came
    #[command(
        after_help = "Example:\n  coditect payment settle 0198a6c1-3f4b-7c52-9b1e-6a1d0c2b7e11"
    )]
    Settle {
        /// The id of the payment, as `coditect payment list` shows it
        payment: String,
    },
}

/// A payment to record.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
#[command(group = clap::ArgGroup::new("for").required(true))]
pub struct RecordPayment {
    /// For this subscription: its id, the e-mail address of whom it belongs to, or the key of its licence
    #[arg(long, value_name = "WHICH", group = "for")]
    pub subscription: Option<String>,
    /// To start one for this organisation: its id, its name, or the e-mail address of its owner
    #[arg(long, group = "for", requires = "plan")]
    pub org: Option<String>,
    /// The plan of the new subscription: its name or id
    #[arg(long, requires = "org")]
    pub plan: Option<String>,
    /// How often the new subscription is paid [default: month]
    #[arg(long, value_parser = ["month", "year"], requires = "org")]
    pub interval: Option<String>,
    /// What was paid, in units of the currency, as 99 or 99.50 [default: the plan's price]
    #[arg(long, requires = "currency")]
    pub amount: Option<String>,
    /// The currency of --amount (ISO 4217)
    #[arg(long, value_name = "CODE", requires = "amount")]
    pub currency: Option<String>,
    /// Months or years that it pays for [default: 1]
    #[arg(long, value_name = "N", value_parser = number)]
    pub periods: Option<u32>,
    /// What finds it in other books: a purchase order, a bank reference
    #[arg(long, value_name = "TEXT")]
    pub reference: Option<String>,
    /// What stands behind it: money that came, a promise to pay, or time that is given [default: payment]
    #[arg(long, value_parser = ["payment", "purchase-order", "credit"])]
    pub kind: Option<String>,
    /// Days until a purchase order is to be settled [default: 30]
    #[arg(long, value_name = "N", value_parser = number, requires = "kind")]
    pub due_days: Option<u32>,
}
