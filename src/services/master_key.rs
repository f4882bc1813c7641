//! The master key: found, and replaced by another.
//!
//! What is stored is sealed anew in one transaction, so that it is under the old key or under the new
//! one. The new one waits beside the old in a file of its own until then, and takes its place
//! afterwards; a start that finds the two between those steps finishes what was begun.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Services;
use super::oidc::sealed_for as sealed_for_org;
use super::second_factor::sealed_for as sealed_for_user;
use crate::config::{Config, DataDir};
use crate::domain::audit::By;
use crate::domain::error::{Error, Result};
use crate::domain::time::Timestamp;
use crate::entropy::Entropy;
use crate::signing::{KeyRecord, MasterKey, MasterKeyError};
use crate::store::{WriteTx, identities, logs, second_factors};

/// What a replacement did.
pub struct Replaced {
    /// How many secrets were sealed anew.
    pub secrets: usize,
    /// The file with the old key, which opens older backups; none where a setting holds the key.
    pub kept: Option<PathBuf>,
}

/// The master key: from the configuration, or a file beside the data.
pub fn master_key(
    config: &Config,
    data: &DataDir,
    entropy: &Entropy,
    sealed_exists: bool,
) -> Result<MasterKey> {
    if let Some(secret) = &config.keys.master {
        return MasterKey::parse(secret.expose(), "keys.master").map_err(Error::internal);
    }
    let loaded = MasterKey::load_or_create(&data.master_key(), entropy, sealed_exists)
        .map_err(Error::internal)?;
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    Ok(loaded.key)
}

/// Puts the new key in its place where a replacement was cut off after everything had been sealed anew.
pub fn finish_replacement(config: &Config, data: &DataDir, records: &[KeyRecord]) -> Result<()> {
    let next = data.next_master_key();
    if config.keys.master.is_some() || records.is_empty() || !next.exists() {
        return Ok(());
    }
    let (current, next_key) = (existing(&data.master_key())?, existing(&next)?);
    let opens = |key: &MasterKey| records.iter().all(|record| record.verify(key).is_ok());
    if current.to_text() == next_key.to_text() {
        return fs::remove_file(&next).map_err(Error::internal);
    }
    if !opens(&current) && opens(&next_key) {
        next_key.replace(&data.master_key()).map_err(Error::internal)?;
        fs::remove_file(&next).map_err(Error::internal)?;
        tracing::info!("the replacement of the master key, which was cut off, is finished");
    }
    Ok(())
}

impl Services {
    /// Seals every secret anew under another master key: a fresh one in the file of the data folder, or
    /// that of `file`, where a setting holds the key. For a server that does not run.
    ///
    /// # Errors
    /// `Internal` with its reason for whoever administers the computer; nothing has changed then.
    pub async fn replace_master_key(
        &self,
        data: &DataDir,
        file: Option<&Path>,
    ) -> Result<Replaced> {
        let in_settings = self.config.keys.master.is_some();
        let refuse = |text: &str| Err(Error::internal(text.to_owned()));
        match file {
            None if in_settings => {
                return refuse(
                    "the master key is in the settings (keys.master), which this program does not change. Write the new one to a file (`openssl rand -base64 32`) and name it with --new",
                );
            }
            Some(_) if !in_settings => {
                return refuse(
                    "the master key is in a file of the data folder, where a new one is made: leave --new out",
                );
            }
            _ => {}
        }
        let next = file.map_or_else(|| data.next_master_key(), Path::to_owned);
        let new = match file {
            Some(file) => existing(file)?,
            None => {
                MasterKey::load_or_create(&next, &self.entropy, false).map_err(Error::internal)?.key
            }
        };
        let new = Arc::new(new);
        if new.to_text() == self.master.to_text() {
            return refuse("that is the master key already");
        }
        // Kept first: whatever cuts this off, older backups can be opened.
        let kept = data.old_master_key(&day_and_time(self.clock.now().wall));
        if !in_settings {
            self.master.replace(&kept).map_err(Error::internal)?;
        }
        let (ctx, old, under) = (self.ctx(By::Local), Arc::clone(&self.master), Arc::clone(&new));
        let change = move |tx: &mut WriteTx<'_>| {
            let secrets = seal_anew(tx, &old, &under, &ctx.entropy)?;
            let told = [("secrets", secrets.to_string())];
            ctx.audit(tx, None, "key.master_replaced", "master", told)?;
            Ok(secrets)
        };
        let secrets = self.commit(change).await?;
        if in_settings {
            return Ok(Replaced { secrets, kept: None });
        }
        new.replace(&data.master_key()).map_err(Error::internal)?;
        fs::remove_file(&next).map_err(Error::internal)?;
        Ok(Replaced { secrets, kept: Some(kept) })
    }
}

/// The key in a file that has to be there.
fn existing(path: &Path) -> Result<MasterKey> {
    match MasterKey::load_or_create(path, &Entropy::system(), true) {
        Ok(loaded) => Ok(loaded.key),
        Err(MasterKeyError::Missing { path }) => {
            Err(Error::internal(format!("there is no file {}", path.display())))
        }
        Err(error) => Err(Error::internal(error)),
    }
}

/// How many there were.
fn seal_anew(
    tx: &mut WriteTx,
    old: &MasterKey,
    new: &MasterKey,
    entropy: &Entropy,
) -> Result<usize> {
    let again = |aad: &[u8], sealed: &[u8]| -> Result<Vec<u8>> {
        let plain = old.open(aad, sealed).map_err(Error::internal)?;
        Ok(new.seal(entropy, aad, &plain))
    };
    let records = logs::keys(tx)?;
    let mut secrets = records.len();
    for record in records {
        let record: KeyRecord = serde_json::from_value(record).map_err(Error::internal)?;
        let record = record.resealed(old, new, entropy).map_err(Error::internal)?;
        let row = serde_json::to_value(&record).map_err(Error::internal)?;
        logs::put_key(tx, &record.kid, &row)?;
    }
    for mut factor in second_factors::all(tx)? {
        let aad = sealed_for_user(factor.user_id);
        let waiting = factor.pending.as_mut().map(|pending| &mut pending.sealed_secret);
        let in_use = Some(&mut factor.sealed_secret).filter(|sealed| !sealed.is_empty());
        for sealed in in_use.into_iter().chain(waiting) {
            *sealed = again(&aad, sealed)?;
            secrets += 1;
        }
        second_factors::put(tx, &factor)?;
    }
    for mut sso in identities::all_sso(tx)? {
        let Some(sealed) = &sso.sealed_secret else { continue };
        sso.sealed_secret = Some(again(&sealed_for_org(sso.org_id), sealed)?);
        identities::put_sso(tx, &sso)?;
        secrets += 1;
    }
    Ok(secrets)
}

/// Fit for the name of a file.
fn day_and_time(now: Timestamp) -> String {
    now.to_string().chars().filter(|char| !matches!(char, '-' | ':')).collect()
}
