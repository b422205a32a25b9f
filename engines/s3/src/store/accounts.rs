//! Users, their keys, their usage.

use super::error::{Error, Result};
use super::meta::{self, Look};
use super::model::{AccessKey, Scope, Usage, User};
use super::record;
use super::stage::Freight;
use super::tables::{self, At};
use super::{Store, text};

fn user(look: &impl Look, name: &str) -> Result<record::User> {
    let found = look.record(At::Users, name.as_bytes())?;
    found.ok_or_else(|| Error::NoSuchUser { user: name.to_owned() })
}

fn show(access_key: &str, key: record::Key) -> AccessKey {
    AccessKey {
        access_key: access_key.to_owned(),
        secret: key.secret,
        user: key.user,
        scope: key.bucket.map_or(Scope::User, Scope::Bucket),
    }
}

fn keys_of(look: &impl Look, name: &str) -> Result<Vec<AccessKey>> {
    let mut rows = look.under(At::Keys, b"")?;
    let mut out = Vec::new();
    while let Some((key, value)) = meta::next(&mut rows)? {
        let record: record::Key = record::decode(value.value())?;
        if record.user == name {
            out.push(show(text(key.value())?, record));
        }
    }
    Ok(out)
}

impl Store {
    /// Creates the user or replaces its settings.
    pub async fn put_user(&self, user: User) -> Result<()> {
        self.write(Freight::default(), move |tx, _| {
            tx.store(At::Users, user.name.as_bytes(), &record::User::from(&user))
        })
        .await
    }

    pub async fn user(&self, name: &str) -> Result<User> {
        Ok(user(&self.shared().meta.view()?, name)?.show(name))
    }

    pub async fn users(&self) -> Result<Vec<User>> {
        let view = self.shared().meta.view()?;
        let mut rows = view.under(At::Users, b"")?;
        let mut out = Vec::new();
        while let Some((key, value)) = meta::next(&mut rows)? {
            out.push(record::decode::<record::User>(value.value())?.show(text(key.value())?));
        }
        Ok(out)
    }

    /// Removes the user and its keys. Refused while it owns buckets.
    pub async fn delete_user(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.write(Freight::default(), move |tx, _| {
            user(tx, &name)?;
            let usage = tables::user_usage(&name);
            let buckets = tx.usage(&usage)?.buckets;
            if buckets > 0 {
                return Err(Error::UserOwnsBuckets { user: name, buckets });
            }
            for key in keys_of(tx, &name)? {
                tx.remove(At::Keys, key.access_key.as_bytes())?;
            }
            tx.forget_usage(&usage)?;
            tx.remove(At::Users, name.as_bytes())
        })
        .await
    }

    /// Creates or replaces a key. Refused when it belongs to another user.
    pub async fn put_key(&self, key: AccessKey) -> Result<()> {
        self.write(Freight::default(), move |tx, _| {
            user(tx, &key.user)?;
            let AccessKey { access_key, secret, user, scope } = key;
            if let Some(old) = tx.record::<record::Key>(At::Keys, access_key.as_bytes())?
                && old.user != user
            {
                return Err(Error::AccessKeyTaken { access_key, owner: old.user });
            }
            let bucket = match scope {
                Scope::User => None,
                Scope::Bucket(bucket) => Some(bucket),
            };
            tx.store(At::Keys, access_key.as_bytes(), &record::Key { secret, user, bucket })
        })
        .await
    }

    /// A key and its user, for checking a signature. The caller looks at `User::disabled`.
    pub async fn key(&self, access_key: &str) -> Result<(AccessKey, User)> {
        let view = self.shared().meta.view()?;
        let found: Option<record::Key> = view.record(At::Keys, access_key.as_bytes())?;
        let found = found.ok_or_else(|| Error::NoSuchAccessKey { access_key: access_key.to_owned() })?;
        let user = user(&view, &found.user)?.show(&found.user);
        Ok((show(access_key, found), user))
    }

    pub async fn keys(&self, user: &str) -> Result<Vec<AccessKey>> {
        keys_of(&self.shared().meta.view()?, user)
    }

    /// Removes a key; one that is not there is as good.
    pub async fn delete_key(&self, access_key: &str) -> Result<()> {
        let access_key = access_key.to_owned();
        self.write(Freight::default(), move |tx, _| tx.remove(At::Keys, access_key.as_bytes())).await
    }

    pub async fn user_usage(&self, name: &str) -> Result<Usage> {
        let view = self.shared().meta.view()?;
        user(&view, name)?;
        let usage: Option<record::Usage> = view.record(At::Usage, &tables::user_usage(name))?;
        Ok(usage.unwrap_or_default().into())
    }
}
