//! Signing in, and getting in again without the password.
//!
//! In discreet mode nothing here tells whether a handle exists: an unknown handle, a disabled account and a wrong password
//! take the same way, compute the same hashes, write one event, and end in the same answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::account::{Account, new_epoch};
use super::codes::Purpose;
use super::hashing::Kinds;
use super::limits::{Act, Network};
use super::password::{Attempt, Password, PasswordHash};
use super::sessions::{Session, Token};
use super::{Accounts, By};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::events::{Event, Origin, What};
use crate::store::Handle;

const SIGN_IN_WINDOW: Duration = Duration::from_secs(60);
const CODE_WINDOW: Duration = Duration::from_secs(300);
/// Codes that can be asked for one account in a while, from wherever.
/// Many, so that a stranger who asks for them does not so soon keep the owner from getting one.
const CODES_PER_ACCOUNT: u32 = 30;
const CODES_PER_ACCOUNT_WINDOW: Duration = Duration::from_secs(15 * 60);

/// How the log tells wrong basic credentials from what is typed on the login screen.
const BASIC: &[(&str, &str)] = &[("how", "basic")];

/// Somebody at the door.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Their address.
    pub address: IpAddr,
    /// What their browser says it is.
    pub device: String,
    /// Whether someone at that address may enter an account that has no password.
    pub trusted: bool,
}

impl Visitor {
    fn network(&self) -> Network {
        Network::of(self.address)
    }

    fn origin(&self, actor: Option<&Handle>) -> Origin {
        Origin { actor: actor.cloned(), address: Some(self.address) }
    }
}

/// A fresh session, with the secret for the browser.
pub struct SignedIn {
    /// Who.
    pub account: Arc<Account>,
    /// The session.
    pub session: Arc<Session>,
    /// The cookie's value.
    pub token: Token,
}

/// What a handle typed at the door stands for.
struct Typed {
    /// Keys limits, whether or not there is such an account.
    key: String,
    account: Option<Arc<Account>>,
}

impl Typed {
    /// What a wrong try with it is in the log.
    fn refusal(&self) -> What {
        match &self.account {
            None => What::UnknownUser,
            Some(account) if !account.enabled => What::Suspended,
            Some(_) => What::WrongPassword,
        }
    }
}

impl Accounts {
    /// Signs in by handle and password.
    pub async fn sign_in(self: &Arc<Self>, typed: &str, password: &str, visitor: &Visitor) -> Result<SignedIn> {
        let attempt = Attempt::parse(password)?;
        self.count(Act::SignIn, self.rules.sign_in_tries, SIGN_IN_WINDOW, visitor).await?;
        let typed = self.who(typed)?;
        self.wait_for_turn(&typed.key, typed.account.as_deref(), visitor).await?;

        let account = typed.account.as_ref();
        let open = account.is_some_and(|account| account.enabled && account.password.is_none());
        let right = if open && visitor.trusted {
            true
        } else {
            let hash = account.and_then(|account| account.password.clone());
            let kinds = self.listing()?.hashes();
            self.hasher.verify(Attempt::parse(password)?, hash, kinds).await?
        };
        match account {
            Some(account) if right && account.enabled => {
                self.networks.clear(&(Act::SignIn, visitor.network()));
                self.brake.right(&typed.key);
                let account = self.refresh_hash(account, &attempt).await;
                self.admit(account, visitor, "password").await
            }
            _ => Err(self.refuse(typed, open, visitor).await),
        }
    }

    /// Signs in somebody whom another authority vouches for (`how`), such as a proxy that has checked them.
    pub async fn admit(
        self: &Arc<Self>,
        account: Arc<Account>,
        visitor: &Visitor,
        how: &'static str,
    ) -> Result<SignedIn> {
        let (this, visitor) = (Arc::clone(self), visitor.clone());
        blocking(move || {
            let (token, session) = this.sessions.start(&account, &visitor.device, Some(visitor.address))?;
            let event = Event::new(What::SignedIn, &visitor.origin(Some(&account.handle)));
            this.events.record(event.to(&account.handle).with("how", how));
            Ok(SignedIn { account, session, token })
        })
        .await
    }

    /// Ends one session.
    pub fn sign_out(&self, session: &Session, address: Option<IpAddr>) -> Result<()> {
        self.sessions.end(&session.handle, |other| other.id == session.id)?;
        let origin = Origin { actor: Some(session.handle.clone()), address };
        self.events.record(Event::new(What::SignedOut, &origin).to(&session.handle));
        Ok(())
    }

    /// Prints a recovery code for `typed` on the console.
    pub async fn request_recovery(self: &Arc<Self>, typed: &str, visitor: &Visitor) -> Result<()> {
        self.count(Act::Recover, self.rules.recover_tries, CODE_WINDOW, visitor).await?;
        let typed = self.who(typed)?;
        self.code_requests
            .take((Act::Recover, typed.key.clone()), CODES_PER_ACCOUNT, CODES_PER_ACCOUNT_WINDOW)
            .map_err(|wait| too_many(Act::Recover, wait))?;
        let account = typed.account.filter(|account| account.enabled || !self.rules.discreet);
        let verdict = match &account {
            Some(account) if account.enabled => {
                let code = self.codes.make(Purpose::Recovery, account, self.rules.code_length)?;
                self.console.say(format!("{}, your password recovery code is: {code}", account.name));
                Ok(())
            }
            Some(_) => Err(disabled()),
            None if self.rules.discreet => Ok(()),
            None => Err(Error::not_found("User not found")),
        };
        self.note(What::RecoveryRequested, account.as_deref(), visitor, &[]).await?;
        verdict
    }

    /// Sets a new password (empty: none) for whoever read the code on the console. All sessions end.
    pub async fn redeem_recovery(
        self: &Arc<Self>,
        typed: &str,
        code: &str,
        new: &str,
        visitor: &Visitor,
    ) -> Result<()> {
        let new = Password::optional(new)?;
        self.allow(Act::Recover, self.rules.recover_tries, visitor)?;
        let typed = self.who(typed)?;
        let account = match &typed.account {
            Some(account) if account.enabled => Some(account),
            Some(_) if !self.rules.discreet => return Err(disabled()),
            None if !self.rules.discreet => return Err(Error::not_found("User not found")),
            _ => None,
        };
        let right =
            account.and_then(|account| self.codes.redeem(Purpose::Recovery, account, code).map(|code| (account, code)));
        let Some((account, code)) = right else {
            let counted = self.count(Act::Recover, self.rules.recover_tries, CODE_WINDOW, visitor).await;
            self.note(What::RecoveryUsed, typed.account.as_deref(), visitor, &[("outcome", "wrong code")]).await?;
            counted?;
            return Err(Error::forbidden("wrong_code", "Incorrect code"));
        };
        self.networks.clear(&(Act::Recover, visitor.network()));
        self.brake.right(account.handle.as_str());
        let recovered = self.recover(&account.handle, new, visitor).await;
        if recovered.is_err() {
            // A full disk or a long queue: the person has only this code, and may try again.
            self.codes.put_back(Purpose::Recovery, &account.handle, code);
        }
        recovered
    }

    async fn recover(self: &Arc<Self>, handle: &Handle, new: Option<Password>, visitor: &Visitor) -> Result<()> {
        let hash = self.hash(new).await?;
        let (this, origin, handle) = (Arc::clone(self), visitor.origin(None), handle.clone());
        blocking(move || {
            this.set_password(By::Host(&Origin::default()), &handle, hash, |_| true)?;
            this.events.record(Event::new(What::RecoveryUsed, &origin).to(&handle).with("outcome", "password set"));
            Ok(())
        })
        .await
    }

    /// Prints the code that a reset of one's whole folder needs.
    pub async fn request_reset(self: &Arc<Self>, account: &Account, visitor: &Visitor) -> Result<()> {
        self.allow(Act::Reset, self.rules.reset_tries, visitor)?;
        self.code_requests
            .take((Act::Reset, account.handle.to_string()), CODES_PER_ACCOUNT, CODES_PER_ACCOUNT_WINDOW)
            .map_err(|wait| too_many(Act::Reset, wait))?;
        let code = self.codes.make(Purpose::Reset, account, self.rules.code_length)?;
        self.console.say(format!("{}, your account reset code is: {code}", account.name));
        self.note(What::ResetRequested, Some(account), visitor, &[]).await
    }

    /// Checks the password, then the code, of someone who wants to reset their folder.
    pub async fn confirm_reset(
        self: &Arc<Self>,
        account: &Account,
        password: &str,
        code: &str,
        visitor: &Visitor,
    ) -> Result<()> {
        self.count(Act::Reset, self.rules.reset_tries, CODE_WINDOW, visitor).await?;
        self.confirm_password(account, password, visitor).await?;
        if self.codes.redeem(Purpose::Reset, account, code).is_none() {
            self.note(What::FolderReset, Some(account), visitor, &[("outcome", "wrong code")]).await?;
            return Err(Error::forbidden("wrong_code", "Incorrect code"));
        }
        self.networks.clear(&(Act::Reset, visitor.network()));
        Ok(())
    }

    /// Checks that whoever is signed in knows the account's password; an account without one takes anything.
    pub async fn confirm_password(
        self: &Arc<Self>,
        account: &Account,
        password: &str,
        visitor: &Visitor,
    ) -> Result<()> {
        let Some(hash) = account.password.clone() else { return Ok(()) };
        let attempt = Attempt::parse(password)?;
        // Counted before the slow hash: of many guesses at once only as many are looked at as are allowed.
        self.count(Act::SignIn, self.rules.sign_in_tries, SIGN_IN_WINDOW, visitor).await?;
        self.wait_for_turn(account.handle.as_str(), Some(account), visitor).await?;
        if self.hasher.verify(attempt, Some(hash), Kinds::default()).await? {
            self.networks.clear(&(Act::SignIn, visitor.network()));
            self.brake.right(account.handle.as_str());
            return Ok(());
        }
        self.brake.wrong(account.handle.as_str());
        self.note(What::WrongPassword, Some(account), visitor, &[("how", "confirmation")]).await?;
        Err(Error::forbidden("wrong_password", "Incorrect password"))
    }

    /// The enabled account that these basic credentials belong to, for whoever was given a try at them.
    pub async fn by_credentials(
        self: &Arc<Self>,
        typed: &str,
        password: &str,
        visitor: &Visitor,
    ) -> Result<Option<Arc<Account>>> {
        let attempt = Attempt::parse(password)?;
        let typed = self.who(typed)?;
        self.wait_for_turn(&typed.key, typed.account.as_deref(), visitor).await?;
        let account = typed.account.as_ref().filter(|account| account.enabled && account.password.is_some());
        let hash = account.and_then(|account| account.password.clone());
        let kinds = self.listing()?.hashes();
        if self.hasher.verify(attempt, hash, kinds).await? {
            self.networks.clear(&(Act::BasicAuth, visitor.network()));
            self.brake.right(&typed.key);
            return Ok(account.cloned());
        }
        self.brake.wrong(&typed.key);
        self.note(typed.refusal(), typed.account.as_deref(), visitor, BASIC).await?;
        Ok(None)
    }

    /// Counts a try of basic authentication, before anything is compared, or says that there were too many.
    pub async fn take_basic_try(self: &Arc<Self>, most: u32, visitor: &Visitor) -> Result<()> {
        self.count(Act::BasicAuth, most, SIGN_IN_WINDOW, visitor).await
    }

    /// The credentials were good: browsers send them with each request, which is no try at guessing them.
    pub fn give_basic_try_back(&self, visitor: &Visitor) {
        self.networks.give_back(&(Act::BasicAuth, visitor.network()));
    }

    /// Notes a wrong try of the credentials that all share.
    pub async fn note_wrong_basic(self: &Arc<Self>, right_name: bool, visitor: &Visitor) -> Result<()> {
        let what = if right_name { What::WrongPassword } else { What::UnknownUser };
        self.note(what, None, visitor, BASIC).await
    }

    /// Hashes a new password, if there is one.
    pub async fn hash(&self, password: Option<Password>) -> Result<Option<PasswordHash>> {
        match password {
            Some(password) => self.hasher.hash(password).await.map(Some),
            None => Ok(None),
        }
    }

    fn who(&self, typed: &str) -> Result<Typed> {
        let text = typed.trim().to_lowercase();
        let listing = self.listing()?;
        let account = Handle::parse(&text).ok().and_then(|handle| listing.get(&handle).cloned());
        Ok(Typed { key: text.chars().take(64).collect(), account })
    }

    /// Waits for this guess's turn at the account, unless its owner is signed in from the same network. Not so in discreet
    /// mode: who waits and who does not would tell where somebody is signed in.
    async fn wait_for_turn(&self, key: &str, account: Option<&Account>, visitor: &Visitor) -> Result<()> {
        let knows = |account: &Account| self.sessions.knows_network(account, visitor.network());
        let at_home = !self.rules.discreet && account.is_some_and(knows);
        if !at_home {
            tokio::time::sleep(self.brake.turn(key).map_err(|wait| too_many(Act::SignIn, wait))?).await;
        }
        Ok(())
    }

    async fn refuse(self: &Arc<Self>, typed: Typed, open: bool, visitor: &Visitor) -> Error {
        self.brake.wrong(&typed.key);
        // What was typed for an unknown name is not logged: people type passwords into the wrong field.
        if let Err(error) = self.note(typed.refusal(), typed.account.as_deref(), visitor, &[]).await {
            return error;
        }
        match typed.account {
            Some(account) if !account.enabled && !self.rules.discreet => disabled(),
            Some(_) if open && !self.rules.discreet => Error::forbidden(
                "password_needed",
                "This account has no password, and this server is open to the network. Set one at the server itself first.",
            ),
            _ => Error::forbidden("wrong_password", "Incorrect credentials"),
        }
    }

    /// Replaces SillyTavern's hash, or one of another cost, now that the password is known. Failing to is no reason to
    /// keep anyone out.
    async fn refresh_hash(self: &Arc<Self>, account: &Arc<Account>, attempt: &Attempt) -> Arc<Account> {
        let outdated = account.password.as_ref().is_some_and(|hash| hash.is_outdated(self.hasher.cost()));
        let Some(password) = attempt.as_password().filter(|_| outdated) else { return Arc::clone(account) };
        let (this, old) = (Arc::clone(self), Arc::clone(account));
        let refreshed = match self.hasher.hash(password).await {
            Ok(hash) => blocking(move || this.replace_hash(&old, hash)).await,
            Err(error) => Err(error),
        };
        refreshed.unwrap_or_else(|error| {
            tracing::warn!(?error, handle = %account.handle, "the password's hash could not be renewed");
            Arc::clone(account)
        })
    }

    fn replace_hash(&self, old: &Account, hash: PasswordHash) -> Result<Arc<Account>> {
        self.directory.change(|listing, records| {
            let Some(account) = listing.get(&old.handle).filter(|account| account.password == old.password) else {
                return Err(Error::conflict("stale", "The password was changed meanwhile."));
            };
            let account = Account { password: Some(hash), ..Account::clone(account) };
            records.save(&account)?;
            Ok(Arc::new(account))
        })
    }

    fn allow(&self, act: Act, most: u32, visitor: &Visitor) -> Result<()> {
        self.networks.look(&(act, visitor.network()), most).map_err(|wait| too_many(act, wait))
    }

    async fn count(self: &Arc<Self>, act: Act, most: u32, window: Duration, visitor: &Visitor) -> Result<()> {
        let key = (act, visitor.network());
        let Err(wait) = self.networks.take(key, most, window) else { return Ok(()) };
        if self.noted.take(key, 1, window).is_ok() {
            self.note(What::Throttled, None, visitor, &[]).await?;
        }
        Err(too_many(act, wait))
    }

    async fn note(
        self: &Arc<Self>,
        what: What,
        target: Option<&Account>,
        visitor: &Visitor,
        facts: &[(&str, &str)],
    ) -> Result<()> {
        let mut event = Event::new(what, &visitor.origin(None));
        if let Some(account) = target {
            event = event.to(&account.handle);
        }
        for (name, value) in facts {
            event = event.with(name, *value);
        }
        let this = Arc::clone(self);
        blocking(move || {
            this.events.record(event);
            Ok(())
        })
        .await
    }

    /// Sets a password and ends the sessions made under the old one for which `which` holds; the others go with the epoch.
    pub(super) fn set_password(
        &self,
        by: By<'_>,
        handle: &Handle,
        hash: Option<PasswordHash>,
        which: impl Fn(&Session) -> bool,
    ) -> Result<Arc<Account>> {
        let account = self.directory.change(|listing, records| {
            let account = listing.get(handle).ok_or_else(|| Error::not_found("User not found"))?;
            by.may_manage(account)?;
            let account = Account { password: hash, epoch: new_epoch()?, ..Account::clone(account) };
            records.save(&account)?;
            Ok(Arc::new(account))
        })?;
        self.codes.void(handle);
        if let Err(error) = self.sessions.end(handle, which) {
            // They are dead already, because the epoch has changed; only the file still lists them.
            tracing::warn!(?error, %handle, "ended sessions could not be struck from the list");
        }
        let kind = if account.password.is_some() { "set" } else { "removed" };
        self.events.record(Event::new(What::PasswordChanged, by.origin()).to(handle).with("password", kind));
        Ok(account)
    }
}

fn disabled() -> Error {
    Error::forbidden("disabled", "User is disabled")
}

fn too_many(act: Act, wait: Duration) -> Error {
    let otherwise = match act {
        Act::SignIn => "recover your password",
        Act::Recover | Act::Reset | Act::BasicAuth => "contact your admin",
    };
    Error::too_many(wait, format!("Too many attempts. Try again later or {otherwise}."))
}
