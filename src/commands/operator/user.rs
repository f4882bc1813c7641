//! `coditect user ...`

use serde_json::{Value, json};

use super::context::{Context, confirm};
use super::failure::Result;
use super::import;
use super::license::filters;
use super::output::{Column, made, plain, shown, text, time, whole, word};
use crate::cli::customers::{OperatorCommand, UserCommand};

const LIST: [Column; 6] = [
    text("E-MAIL", "email"),
    text("NAME", "full_name"),
    text("COMPANY", "company_name"),
    made("STATE", state),
    time("SINCE", "created_at"),
    time("LAST SIGN-IN", "last_login_at"),
];

const SHOW: [Column; 10] = [
    text("E-mail", "email"),
    text("Name", "full_name"),
    text("Company", "company_name"),
    made("State", state),
    time("Since", "created_at"),
    time("Last sign-in", "last_login_at"),
    time("Second factor", "second_factor_since"),
    time("Closed", "deactivated_at"),
    whole("User id", "user_id"),
    whole("Organisation id", "org_id"),
];

fn state(user: &Value) -> String {
    let is = |name: &str| user[name].as_bool().unwrap_or(false);
    let state = if !user["deactivated_at"].is_null() {
        "closed"
    } else if is("operator") {
        "operator"
    } else if is("email_verified") {
        "verified"
    } else {
        "unverified"
    };
    state.to_owned()
}

pub async fn run(context: &Context, command: UserCommand) -> Result<()> {
    match command {
        UserCommand::List { query, paging } => {
            let filters = filters(&[("q", &query)]);
            let none = if filters.is_empty() {
                "No users yet. `coditect admin link` prints a link that makes the first operator."
            } else {
                "No user is like that. `coditect user list` lists all."
            };
            context.list(&["admin", "users"], &filters, &paging, &LIST, none).await
        }
        UserCommand::Show { user } => context.show(&context.user(&user).await?, &SHOW),
        UserCommand::Create { email, name, company } => {
            let mut body = json!({"email": email, "full_name": name});
            if let Some(company) = company {
                body["company_name"] = json!(company);
            }
            let answer = context.http.post(&["admin", "users"], Some(body)).await?;
            let text = "has an account; a link to choose a password with is on its way.";
            context.did(&answer, &format!("{} {text}", shown(&answer["email"])))
        }
        UserCommand::Import { file } => import::run(context, &file).await,
        UserCommand::Deactivate { user, consent } => {
            let found = context.user(&user).await?;
            confirm(consent.yes, &format!("Close the account of {}?", shown(&found["email"])))?;
            act(context, &found, "deactivate", "is closed").await
        }
        UserCommand::SetEmail { user, email, consent } => {
            let found = context.user(&user).await?;
            let question = format!(
                "Give the account of {} to whoever reads {}?",
                shown(&found["email"]),
                plain(&email)
            );
            confirm(consent.yes, &question)?;
            let path = ["admin", "users", word(&found, "user_id"), "email"];
            let answer = context.http.put(&path, json!({"email": email})).await?;
            let text = "is the address now; a link to choose a password with is on its way there.";
            context.did(&answer, &format!("{} {text}", shown(&answer["email"])))
        }
        UserCommand::SignOut { user } => {
            act(context, &context.user(&user).await?, "sign-out", "is signed out everywhere").await
        }
        UserCommand::Reactivate { user } => {
            act(context, &context.user(&user).await?, "reactivate", "is open again").await
        }
        UserCommand::RemoveSecondFactor { user, consent } => {
            let found = context.user(&user).await?;
            let question = format!("Switch the second factor of {} off?", shown(&found["email"]));
            confirm(consent.yes, &question)?;
            act(context, &found, "remove-second-factor", "has no second factor").await
        }
        UserCommand::Operator { command: OperatorCommand::Grant { user } } => {
            operator(context, &user, true).await
        }
        UserCommand::Operator { command: OperatorCommand::Revoke { user } } => {
            operator(context, &user, false).await
        }
    }
}

async fn act(context: &Context, user: &Value, verb: &str, now: &str) -> Result<()> {
    let path = ["admin", "users", word(user, "user_id"), verb];
    let answer = context.http.post(&path, None).await?;
    context.did(&answer, &format!("The account of {} {now}.", shown(&user["email"])))
}

async fn operator(context: &Context, user: &str, operator: bool) -> Result<()> {
    let found = context.user(user).await?;
    let path = ["admin", "users", word(&found, "user_id"), "operator"];
    let answer = context.http.put(&path, json!({"operator": operator})).await?;
    let now = if operator { "is an operator" } else { "is no operator any more" };
    context.did(&answer, &format!("{} {now}.", shown(&found["email"])))
}
