//! What people change about themselves and admins about others, and the rules that keep the house open to its owner.

use std::sync::Arc;

use super::account::{Account, check_name, new_epoch};
use super::password::{Password, PasswordHash};
use super::pictures::{self, Picture};
use super::sessions::Session;
use super::{Accounts, Listing, Visitor};
use crate::access::{self, Actor, Permission, Role, What as On};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::events::{Event, Origin, What};
use crate::store::Handle;

/// On whose authority something is changed.
#[derive(Debug, Clone, Copy)]
pub enum By<'a> {
    /// A signed-in person.
    Person(Actor<'a>, &'a Origin),
    /// Whoever is at the host's console.
    Host(&'a Origin),
}

impl<'a> By<'a> {
    /// Who and from where, for the log.
    pub fn origin(&self) -> &'a Origin {
        match self {
            Self::Person(_, origin) | Self::Host(origin) => origin,
        }
    }

    fn is(&self, handle: &Handle) -> bool {
        matches!(self, Self::Person(actor, _) if actor.handle == handle)
    }

    /// Whether whoever changes something may do so.
    pub(crate) fn require(&self, permission: Permission, what: On<'_>) -> Result<()> {
        match self {
            Self::Person(actor, _) => access::require(*actor, permission, what),
            Self::Host(_) => Ok(()),
        }
    }

    /// Whether this is about oneself, or about someone whom one may manage.
    pub(super) fn may_manage(&self, account: &Account) -> Result<()> {
        let permission = if self.is(&account.handle) { Permission::AccountOwn } else { Permission::UsersManage };
        self.require(permission, On::Person(&account.handle, account.role))
    }
}

/// The old password, when changing one.
#[derive(Debug, Clone, Copy)]
pub enum OldPassword<'a> {
    /// It was asked for; this was typed.
    Typed(&'a str),
    /// It was not asked for: somebody sets another's password.
    NotAsked,
    /// SillyTavern's client asks everybody but admins; this was typed, if anything.
    AskedUnlessAdmin(&'a str),
}

impl<'a> OldPassword<'a> {
    /// What has to be the password of `target` before `actor` sets another. One's own takes the old one, lest a stolen
    /// session become a stolen account; only of SillyTavern's client that cannot be had where an admin uses it.
    fn to_confirm(self, actor: &Account, target: &Account) -> Result<Option<&'a str>> {
        let own = actor.handle == target.handle;
        match self {
            Self::Typed(old) => Ok(Some(old)),
            Self::AskedUnlessAdmin(old) => Ok((own && actor.role != Role::Admin).then_some(old)),
            Self::NotAsked if own && target.password.is_some() => Err(Error::forbidden(
                "not_yourself",
                "Change your own password on your account page, with the old one.",
            )),
            Self::NotAsked => Ok(None),
        }
    }
}

/// A change that an admin makes to an account. What is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// A new display name.
    pub name: Option<String>,
    /// Whether the account can sign in.
    pub enabled: Option<bool>,
    /// Another role.
    pub role: Option<Role>,
}

impl Accounts {
    /// Whether an account could be made.
    pub fn may_create(&self, by: By<'_>, handle: &Handle, name: &str) -> Result<()> {
        by.require(Permission::UsersManage, On::House)?;
        check_name(name)?;
        match self.listing()?.get(handle) {
            Some(_) => Err(already_there()),
            None => Ok(()),
        }
    }

    /// Makes an account, always an ordinary user's. The caller makes its folder.
    pub fn create(
        &self,
        by: By<'_>,
        handle: &Handle,
        name: &str,
        password: Option<PasswordHash>,
    ) -> Result<Arc<Account>> {
        by.require(Permission::UsersManage, On::House)?;
        let account = Account::new(handle.clone(), name, Role::User, password)?;
        self.directory.change(|listing, records| {
            if listing.get(handle).is_some() {
                return Err(already_there());
            }
            records.create(&account)
        })?;
        self.events.record(Event::new(What::UserCreated, by.origin()).to(handle));
        Ok(Arc::new(account))
    }

    /// Changes an account. Nobody disables or demotes themselves, and the last active admin stays one.
    pub fn update(&self, by: By<'_>, handle: &Handle, changes: &Changes) -> Result<Arc<Account>> {
        let mut event = Event::new(What::UserUpdated, by.origin()).to(handle);
        let (account, changed, closed) = self.directory.change(|listing, records| {
            let old = listing.get(handle).ok_or_else(|| Error::not_found("User not found"))?;
            let mut new = Account::clone(old);
            by.may_manage(old)?;
            if let Some(name) = &changes.name {
                new.name = check_name(name)?;
            }
            if let Some(enabled) = changes.enabled {
                new.enabled = enabled;
            }
            if let Some(role) = changes.role.filter(|role| *role != old.role) {
                by.require(Permission::UsersRoles, On::Person(handle, old.role))?;
                by.require(Permission::UsersRoles, On::Role(role))?;
                new.role = role;
            }
            if new == **old {
                return Ok((Arc::clone(old), false, false));
            }
            let weaker = !new.role.permissions().covers(old.role.permissions()) || (old.enabled && !new.enabled);
            if weaker && by.is(handle) {
                return Err(not_yourself());
            }
            keep_an_admin(listing, old, Some(&new))?;
            if weaker {
                // What was opened with more rights must not go on with fewer: sign in again.
                new.epoch = new_epoch()?;
            }
            records.save(&new)?;
            for (name, old, new) in [
                ("name", old.name.clone(), new.name.clone()),
                ("role", old.role.name().to_owned(), new.role.name().to_owned()),
                ("enabled", old.enabled.to_string(), new.enabled.to_string()),
            ] {
                if old != new {
                    event = event.clone().with(name, format!("{old} => {new}"));
                }
            }
            Ok((Arc::new(new), true, weaker))
        })?;
        if changed {
            self.events.record(event);
        }
        if closed {
            self.close(handle);
        }
        Ok(account)
    }

    /// Sets a password, one's own or another's. One's own session goes on; all others end.
    pub async fn change_password(
        self: &Arc<Self>,
        actor: &Arc<Account>,
        session: Option<Arc<Session>>,
        handle: &Handle,
        old: OldPassword<'_>,
        new: &str,
        visitor: &Visitor,
    ) -> Result<()> {
        let new = Password::optional(new)?;
        let target = self.listing()?.get(handle).cloned();
        let own = actor.handle == *handle;
        let origin = Origin { actor: Some(actor.handle.clone()), address: Some(visitor.address) };
        // Whoever may not manage accounts learns nothing about which there are.
        let target = match target {
            Some(target) => target,
            None if actor.role.permissions().has(Permission::UsersManage) => {
                return Err(Error::not_found("User not found"));
            }
            None => return Err(Error::forbidden("forbidden", "Unauthorized")),
        };
        By::Person(actor.actor(), &origin).may_manage(&target)?;
        if let Some(old) = old.to_confirm(actor, &target)? {
            self.confirm_password(&target, old, visitor).await?;
        }
        let hash = self.hash(new).await?;
        let (this, actor, handle) = (Arc::clone(self), Arc::clone(actor), handle.clone());
        blocking(move || {
            let mine = session.as_ref().filter(|_| own);
            let by = By::Person(actor.actor(), &origin);
            let account = this.set_password(by, &handle, hash, |s| mine.is_none_or(|mine| mine.id != s.id))?;
            if let Some(mine) = mine {
                this.sessions.renew(mine, &account);
            }
            Ok(())
        })
        .await
    }

    /// Sets or removes an account's own picture.
    pub fn set_picture(&self, by: By<'_>, handle: &Handle, picture: Option<&Picture>) -> Result<()> {
        let listing = self.listing()?;
        let account = listing.get(handle).ok_or_else(|| Error::not_found("User not found"))?;
        by.may_manage(account)?;
        pictures::save(&self.store, handle, picture)?;
        let kind = if picture.is_some() { "set" } else { "removed" };
        self.events.record(Event::new(What::UserUpdated, by.origin()).to(handle).with("picture", kind));
        Ok(())
    }

    /// Deletes an account's record, sessions and picture. Its folder is the caller's to keep or to move to the trash.
    pub fn delete(&self, by: By<'_>, handle: &Handle) -> Result<()> {
        self.directory.change(|listing, records| {
            may_delete(listing, by, handle)?;
            records.remove(handle)
        })?;
        self.close(handle);
        let forgotten = self.keys.forget(handle).and(self.sessions.forget(handle));
        let forgotten = forgotten.and_then(|()| pictures::save(&self.store, handle, None));
        if let Err(error) = forgotten {
            tracing::warn!(?error, %handle, "what belonged to a deleted account could not all be removed");
        }
        self.events.record(Event::new(What::UserDeleted, by.origin()).to(handle));
        Ok(())
    }

    /// Whether an account could be deleted.
    pub fn may_delete(&self, by: By<'_>, handle: &Handle) -> Result<()> {
        let listing = self.listing()?;
        may_delete(&listing, by, handle)
    }

    /// The host's way in: enables the account, sets its password (or none), ends its sessions. Takes effect at once, also
    /// in a server that runs beside this process.
    pub fn recover_by_host(&self, handle: &Handle, password: Option<&Password>) -> Result<Arc<Account>> {
        let hash = password.map(|password| password.hash(self.rules.bcrypt_cost)).transpose()?;
        let account = self.directory.change(|listing, records| {
            let account =
                listing.get(handle).ok_or_else(|| Error::not_found(format!("User \"{handle}\" not found.")))?;
            let account = Account { password: hash, enabled: true, epoch: new_epoch()?, ..Account::clone(account) };
            records.save(&account)?;
            Ok(Arc::new(account))
        })?;
        let kind = if account.password.is_some() { "set" } else { "removed" };
        self.events.record(Event::new(What::RecoveredByHost, &Origin::default()).to(handle).with("password", kind));
        Ok(account)
    }

    /// Ends the sessions of one's own that `which` names; says how many.
    pub fn end_sessions(&self, handle: &Handle, origin: &Origin, which: impl Fn(&Session) -> bool) -> Result<usize> {
        let ended = self.sessions.end(handle, which)?;
        if ended > 0 {
            self.events.record(Event::new(What::SessionsEnded, origin).to(handle).with("sessions", ended));
        }
        Ok(ended)
    }

    /// Ends all that an account has open.
    fn close(&self, handle: &Handle) {
        self.codes.void(handle);
        if let Err(error) = self.sessions.end(handle, |_| true) {
            tracing::warn!(?error, %handle, "ended sessions could not be struck from the list");
        }
    }
}

fn may_delete(listing: &Listing, by: By<'_>, handle: &Handle) -> Result<()> {
    if by.is(handle) {
        return Err(not_yourself());
    }
    if handle.is_default_user() {
        return Err(Error::invalid("default_user", "The account default-user cannot be deleted. It can be disabled."));
    }
    let account = listing.get(handle).ok_or_else(|| Error::not_found("User not found"))?;
    by.may_manage(account)?;
    keep_an_admin(listing, account, None)
}

fn already_there() -> Error {
    Error::conflict("conflict", "User already exists")
}

fn not_yourself() -> Error {
    Error::forbidden("not_yourself", "Nobody can disable, demote or delete their own account. Ask another admin.")
}

/// Refuses what would leave nobody who can run the house.
fn keep_an_admin(listing: &Listing, old: &Account, new: Option<&Account>) -> Result<()> {
    let stays = new.is_some_and(Account::is_active_admin);
    if old.is_active_admin() && !stays && listing.active_admins() == 1 {
        return Err(Error::conflict("last_admin", "This is the last active admin. Make somebody else an admin first."));
    }
    Ok(())
}
