//! Finds a record by what people have of it: a licence key, an e-mail address, a name.

use serde_json::Value;
use uuid::Uuid;

use super::context::Context;
use super::failure::{Exit, Failure, Result};
use super::output::{at, plain, shown, word};
use crate::domain::search::{QUERY_CHARS_MAX, QUERY_WORDS_MAX};

/// So many candidates are named when a word means several.
const NAMED_MAX: usize = 5;

impl Context {
    /// A licence by its key, its id, or the e-mail address of whom it belongs to.
    pub async fn license(&self, given: &str) -> Result<Value> {
        if is_id(given) {
            return self.http.get(&["licenses", given], &[]).await;
        }
        let found = self.licenses(given, ("q", &narrowing(given))).await?;
        if found.is_empty() && !is_email(given) {
            let why = format!(
                "there is no licence with the key {}. `coditect license list --query WORDS` finds \
                 one by part of its key, a name or a machine",
                plain(given)
            );
            return Err(Failure::not_found(why));
        }
        only(found, given, "licence", "key", "license_key")
    }

    /// The same, where only one of this organisation will do.
    pub async fn license_of(&self, org_id: &str, given: &str) -> Result<Value> {
        let why = if is_email(given) {
            let found = self.licenses(given, ("org_id", org_id)).await?;
            if !found.is_empty() {
                return only(found, given, "licence", "key", "license_key");
            }
            format!("no licence of this organisation belongs to {}", plain(given))
        } else {
            let license = self.license(given).await?;
            if word(&license, "org_id") == org_id {
                return Ok(license);
            }
            let (key, whose) = (&license["license_key"], at(&license, "customer.org_name"));
            format!("the licence {} is {}'s, not this organisation's", shown(key), shown(whose))
        };
        let lists = format!("`coditect license list --org {org_id}` lists what it has");
        Err(Failure::not_found(format!("{why}. {lists}")))
    }

    /// Licences by a key or the e-mail address of whom they belong to; the server narrows the search down.
    async fn licenses(&self, given: &str, narrowed: (&str, &str)) -> Result<Vec<Value>> {
        let path = if is_email(given) { "customer.email" } else { "license_key" };
        let all = self.pages(&["admin", "licenses"], &[narrowed], None).await?;
        let mut found = matching(all.items, path, given);
        if found.len() > 1 {
            // What has ended is rarely meant when something else has not.
            let living =
                |license: &Value| !matches!(word(license, "status"), "revoked" | "expired");
            if found.iter().any(living) {
                found.retain(living);
            }
        }
        Ok(found)
    }

    /// A user by id or e-mail address.
    pub async fn user(&self, given: &str) -> Result<Value> {
        if is_id(given) {
            return self.http.get(&["admin", "users", given], &[]).await;
        }
        let found = self.named(&["admin", "users"], given, "email").await?;
        only(found, given, "user", "id", "user_id")
    }

    /// A plan by id or name.
    pub async fn plan(&self, given: &str) -> Result<Value> {
        let path = if is_id(given) { "plan_id" } else { "plan_name" };
        let all = self.pages(&["admin", "plans"], &[], None).await?;
        only(matching(all.items, path, given), given, "plan", "id", "plan_id")
    }

    /// The id of an organisation, by id, name, or the e-mail address of its owner.
    pub async fn org_id(&self, given: &str) -> Result<String> {
        if is_id(given) {
            return Ok(given.to_owned());
        }
        let mut found = self.named(&["admin", "orgs"], given, "name").await?;
        if is_email(given) {
            match self.orgs_of(given).await {
                Ok(theirs) => found.extend(theirs),
                // An organisation may be called like an address that is nobody's.
                Err(_) if !found.is_empty() => {}
                Err(nobody) => return Err(nobody),
            }
            found.sort_by_cached_key(|org| word(org, "org_id").to_owned());
            found.dedup_by_key(|org| word(org, "org_id").to_owned());
        }
        let org = only(found, given, "organisation", "id", "org_id")?;
        Ok(word(&org, "org_id").to_owned())
    }

    /// The organisations that somebody owns.
    async fn orgs_of(&self, email: &str) -> Result<Vec<Value>> {
        let user = self.user(email).await?;
        let theirs = [("owner_id", word(&user, "user_id"))];
        Ok(self.pages(&["admin", "orgs"], &theirs, None).await?.items)
    }

    /// A team or a project of an organisation, by id or name.
    pub async fn part_of(
        &self,
        org_id: &str,
        list: &str,
        given: &str,
        what: &str,
        id: &str,
    ) -> Result<Value> {
        let path = if is_id(given) { id } else { "name" };
        let all = self.pages(&["orgs", org_id, list], &[], None).await?;
        only(matching(all.items, path, given), given, what, "id", id)
    }

    /// The id of a subscription, by id, the e-mail address of whom it belongs to, or the key of its
    /// licence.
    pub async fn subscription_id(&self, given: &str) -> Result<String> {
        if is_id(given) {
            return Ok(given.to_owned());
        }
        if !is_email(given) {
            let license = self.license(given).await?;
            return match license["subscription_id"].as_str() {
                Some(id) => Ok(id.to_owned()),
                None => Err(Failure::not_found(format!(
                    "no subscription pays for the licence {}; `license extend` moves its end",
                    plain(given)
                ))),
            };
        }
        let mut found = Vec::new();
        for org in self.orgs_of(given).await? {
            let org_id = [("org_id", word(&org, "org_id"))];
            found.extend(self.pages(&["admin", "subscriptions"], &org_id, None).await?.items);
        }
        if found.len() > 1 {
            found.retain(|subscription| word(subscription, "status") != "canceled");
        }
        let subscription = only(found, given, "subscription", "id", "subscription_id")?;
        Ok(word(&subscription, "subscription_id").to_owned())
    }

    /// A seat that is held, by the session's id or the machine's hardware id. It looks through all of
    /// them: a part cannot tell that there is no such seat, or no other.
    pub async fn session(&self, given: &str, license: Option<&str>) -> Result<Value> {
        let found = match license {
            Some(license) => {
                let license = self.license(license).await?;
                let path = ["licenses", word(&license, "license_id"), "sessions"];
                self.pages(&path, &[], None).await?
            }
            None => self.pages(&["admin", "sessions"], &[], None).await?,
        };
        let path = if found.items.iter().any(|session| word(session, "session_id") == given) {
            "session_id"
        } else {
            "hardware_id"
        };
        only(matching(found.items, path, given), given, "seat", "session", "session_id")
    }

    /// The id of the record that the audit log knows by this name. What stands in the log as it was typed, such
    /// as the file of a backup, is meant before an organisation that is called the same.
    pub async fn subject(&self, given: &str) -> Result<String> {
        if is_email(given) {
            return Ok(word(&self.user(given).await?, "user_id").to_owned());
        }
        if is_id(given) {
            return Ok(given.to_owned());
        }
        let literal = [("subject", given), ("limit", "1")];
        let page = self.http.get(&["admin", "audit"], &literal).await?;
        let stands = page["items"].as_array().is_some_and(|entries| !entries.is_empty());
        if stands || narrowing(given).is_empty() {
            return Ok(given.to_owned());
        }
        // Keys of any template have dashes.
        if given.contains('-') {
            match self.license(given).await {
                Ok(license) => return Ok(word(&license, "license_id").to_owned()),
                Err(failure) if failure.exit == Exit::NotFound => {}
                Err(failure) => return Err(failure),
            }
        }
        match self.org_id(given).await {
            Err(failure) if failure.exit == Exit::NotFound => Ok(given.to_owned()),
            found => found,
        }
    }

    /// Records whose member is this text, whatever the case; the server narrows the search down.
    async fn named(&self, list: &[&str], given: &str, path: &str) -> Result<Vec<Value>> {
        let all = self.pages(list, &[("q", &narrowing(given))], None).await?;
        Ok(matching(all.items, path, given))
    }
}

/// What the server is asked to look for: as many of the words as it takes. What has them is compared whole.
fn narrowing(given: &str) -> String {
    let words = given.split_whitespace().filter(|word| word.contains(char::is_alphanumeric));
    let words: Vec<_> = words.take(QUERY_WORDS_MAX).collect();
    words.join(" ").chars().take(QUERY_CHARS_MAX).collect()
}

fn is_id(given: &str) -> bool {
    Uuid::parse_str(given).is_ok()
}

fn is_email(given: &str) -> bool {
    given.contains('@')
}

fn matching(mut items: Vec<Value>, path: &str, given: &str) -> Vec<Value> {
    let given = given.trim().to_lowercase();
    items.retain(|item| word(item, path).to_lowercase() == given);
    items
}

/// The one record that was meant.
fn only(mut found: Vec<Value>, given: &str, what: &str, by: &str, path: &str) -> Result<Value> {
    let given = plain(given);
    match found.len() {
        0 => Err(Failure::not_found(format!("there is no {what} of {given}"))),
        1 => Ok(found.remove(0)),
        many => {
            let names: Vec<_> = found
                .iter()
                .take(NAMED_MAX)
                .map(|item| {
                    let owner = at(item, "owner.email").as_str().unwrap_or_default();
                    let told = [word(item, path), word(item, "name"), owner].map(plain);
                    format!("  {}", told.join("  ")).trim_end().to_owned()
                })
                .collect();
            Err(Failure::usage(format!(
                "{given} means {many} of them; say which {what} by its {by}:\n{}{}",
                names.join("\n"),
                if many > NAMED_MAX { "\n  ..." } else { "" }
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::search::query_words;

    #[test]
    fn a_name_means_one_record_or_the_refusal_says_which_there_are() {
        let plans = || {
            vec![
                json!({"plan_id": "1", "plan_name": "Team"}),
                json!({"plan_id": "2", "plan_name": "TEAM "}),
                json!({"plan_id": "3", "plan_name": "Solo"}),
            ]
        };
        let find =
            |name: &str| only(matching(plans(), "plan_name", name), name, "plan", "id", "plan_id");
        assert_eq!(find("solo").unwrap()["plan_id"], "3");
        let none = find("Tea").unwrap_err();
        assert_eq!((none.exit, &*none.text), (Exit::NotFound, "there is no plan of Tea"));
        let twins = vec![json!({"plan_id": "1", "name": "Team"}), json!({"plan_id": "2"})];
        let several = only(twins, "x", "plan", "id", "plan_id").unwrap_err();
        assert_eq!(several.exit, Exit::Usage);
        assert!(several.text.ends_with("  1  Team\n  2"), "{}", several.text);
        let owner = |email: &str| json!({"org_id": "1", "name": "Loom", "owner": {"email": email}});
        let orgs = vec![owner("ann@example.com"), owner("bob@example.com")];
        let several = only(orgs, "Loom", "organisation", "id", "org_id").unwrap_err().text;
        let lines = "  1  Loom  ann@example.com\n  1  Loom  bob@example.com";
        assert!(several.ends_with(lines), "{several}");
    }

    #[test]
    fn the_server_is_asked_for_no_more_than_it_looks_for() {
        for given in ["a - b ... c (d) e f g h i j", &"word ".repeat(90), &"ü".repeat(500)] {
            let words = query_words(&narrowing(given)).unwrap();
            assert!((1..=QUERY_WORDS_MAX).contains(&words.len()), "{words:?}");
        }
        assert_eq!(query_words(&"a ".repeat(QUERY_WORDS_MAX)).unwrap().len(), QUERY_WORDS_MAX);
        assert_eq!(narrowing(" Loom  Ltd "), "Loom Ltd");
        assert_eq!(narrowing("--- ?"), "");
    }

    #[test]
    fn what_was_typed_is_an_id_an_address_or_a_name() {
        assert!(is_id("0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"));
        assert!(!is_id("CODITECT-7K2M-9QRT-4XWZ-3HJN-5VBC"));
        assert!(is_email("ada@example.com"));
    }
}
