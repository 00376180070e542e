//! One-time codes that are printed on the server's console: whoever can read it runs the house.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use super::account::Account;
use super::limits::Windows;
use crate::error::Result;
use crate::mutex::lock;
use crate::random;
use crate::store::Handle;

/// How long a code is good for.
pub const LIFETIME: Duration = Duration::from_secs(5 * 60);
/// Wrong tries after which a code is void, wherever they come from.
const TRIES: u8 = 5;
/// Wrong tries in a day after which no code of an account is taken any more, so that asking for ever new codes does not
/// make a short one guessable.
const TRIES_A_DAY: u32 = 20;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a code is for; one for each can be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Setting a forgotten password anew.
    Recovery,
    /// Resetting one's folder.
    Reset,
}

/// The open codes, in memory only.
#[derive(Debug, Default)]
pub struct Codes {
    open: Mutex<HashMap<(Purpose, Handle), Code>>,
    wrong: Windows<(Purpose, Handle)>,
}

/// A code that was made.
pub struct Code {
    digits: String,
    /// The state of the credentials it was made under. When the host has changed them since, it is worthless.
    epoch: String,
    until: Instant,
    tries_left: u8,
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(***)")
    }
}

impl Codes {
    /// Makes a code of `length` digits (4 to 10). It replaces an earlier one.
    pub fn make(&self, purpose: Purpose, account: &Account, length: u8) -> Result<String> {
        let digits = random_digits(length)?;
        let (epoch, until) = (account.epoch.clone(), Instant::now() + LIFETIME);
        let code = Code { digits: digits.clone(), epoch, until, tries_left: TRIES };
        lock(&self.open).insert((purpose, account.handle.clone()), code);
        Ok(digits)
    }

    /// The open code, if `typed` is it. A right code is used up; the fifth wrong one voids it, and after the twentieth of a
    /// day none is taken.
    pub fn redeem(&self, purpose: Purpose, account: &Account, typed: &str) -> Option<Code> {
        let key = (purpose, account.handle.clone());
        let mut open = lock(&self.open);
        let code = open.get_mut(&key)?;
        if Instant::now() >= code.until || code.epoch != account.epoch {
            open.remove(&key);
            return None;
        }
        self.wrong.look(&key, TRIES_A_DAY).ok()?;
        if bool::from(code.digits.as_bytes().ct_eq(typed.trim().as_bytes())) {
            return open.remove(&key);
        }
        code.tries_left -= 1;
        if code.tries_left == 0 {
            open.remove(&key);
        }
        self.count_wrong(key);
        None
    }

    /// Opens a code again that was right but could not be used, for what is left of its time; unless there is a newer one.
    pub fn put_back(&self, purpose: Purpose, handle: &Handle, code: Code) {
        lock(&self.open).entry((purpose, handle.clone())).or_insert(code);
    }

    /// Called under the lock of the open codes, so that many tries at once count as many.
    fn count_wrong(&self, key: (Purpose, Handle)) {
        let (purpose, handle) = key.clone();
        if self.wrong.take(key.clone(), TRIES_A_DAY, DAY).is_ok() && self.wrong.look(&key, TRIES_A_DAY).is_err() {
            tracing::warn!(
                %handle,
                ?purpose,
                "{TRIES_A_DAY} wrong codes in a day: no more are taken for this account until tomorrow; scripts/recover.sh works"
            );
        }
    }

    /// Voids the codes of an account that is gone or has another password now.
    pub fn void(&self, handle: &Handle) {
        lock(&self.open).retain(|(_, of), _| of != handle);
    }
}

/// Uniform decimal digits, leading zeros included.
fn random_digits(length: u8) -> Result<String> {
    let mut digits = String::with_capacity(length.into());
    while digits.len() < usize::from(length) {
        for byte in random::random::<16>()? {
            // 250 is the largest multiple of ten that a byte holds; what is above would favour small digits.
            if byte < 250 && digits.len() < usize::from(length) {
                digits.push(char::from(b'0' + byte % 10));
            }
        }
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    fn account(handle: &str) -> Account {
        Account::new(Handle::parse(handle).unwrap(), handle, Role::User, None).unwrap()
    }

    fn is_right(codes: &Codes, account: &Account, typed: &str) -> bool {
        codes.redeem(Purpose::Recovery, account, typed).is_some()
    }

    #[test]
    fn a_code_works_once_and_only_for_its_account_and_purpose() {
        let (codes, ada, bob) = (Codes::default(), account("ada"), account("bob"));
        let code = codes.make(Purpose::Recovery, &ada, 10).unwrap();
        assert_eq!(code.len(), 10);
        assert!(!is_right(&codes, &bob, &code));
        assert!(codes.redeem(Purpose::Reset, &ada, &code).is_none());
        assert!(is_right(&codes, &ada, &format!(" {code} ")));
        assert!(!is_right(&codes, &ada, &code));
    }

    #[test]
    fn the_fifth_wrong_try_voids_it() {
        let (codes, ada) = (Codes::default(), account("ada"));
        let code = codes.make(Purpose::Recovery, &ada, 4).unwrap();
        for _ in 0..TRIES {
            assert!(!is_right(&codes, &ada, "not it"));
        }
        assert!(!is_right(&codes, &ada, &code));
    }

    #[test]
    fn after_twenty_wrong_tries_in_a_day_no_new_code_helps() {
        let (codes, ada, bob) = (Codes::default(), account("ada"), account("bob"));
        for n in 0..TRIES_A_DAY {
            let code = codes.make(Purpose::Recovery, &ada, 10).unwrap();
            if n == TRIES_A_DAY / 2 {
                assert!(is_right(&codes, &ada, &code), "a right one was refused or counted");
                codes.make(Purpose::Recovery, &ada, 10).unwrap();
            }
            assert!(!is_right(&codes, &ada, "not it"));
        }
        let code = codes.make(Purpose::Recovery, &ada, 10).unwrap();
        assert!(!is_right(&codes, &ada, &code));
        let code = codes.make(Purpose::Recovery, &bob, 10).unwrap();
        assert!(is_right(&codes, &bob, &code));
    }

    #[test]
    fn a_new_code_replaces_the_old_one() {
        let (codes, ada) = (Codes::default(), account("ada"));
        let old = codes.make(Purpose::Recovery, &ada, 10).unwrap();
        let new = codes.make(Purpose::Recovery, &ada, 10).unwrap();
        assert!(!is_right(&codes, &ada, &old));
        assert!(is_right(&codes, &ada, &new));
    }

    #[test]
    fn a_code_from_before_the_credentials_changed_is_worthless() {
        let (codes, ada) = (Codes::default(), account("ada"));
        let code = codes.make(Purpose::Recovery, &ada, 10).unwrap();
        let changed = Account { epoch: "another".into(), ..ada };
        assert!(!is_right(&codes, &changed, &code));
    }

    #[test]
    fn a_code_that_was_put_back_works_again_unless_there_is_a_newer_one() {
        let (codes, ada) = (Codes::default(), account("ada"));
        let digits = codes.make(Purpose::Recovery, &ada, 10).unwrap();
        let code = codes.redeem(Purpose::Recovery, &ada, &digits).unwrap();
        codes.put_back(Purpose::Recovery, &ada.handle, code);
        let code = codes.redeem(Purpose::Recovery, &ada, &digits).unwrap();
        let newer = codes.make(Purpose::Recovery, &ada, 10).unwrap();
        codes.put_back(Purpose::Recovery, &ada.handle, code);
        assert!(is_right(&codes, &ada, &newer));
    }

    #[test]
    fn digits_are_evenly_spread() {
        let mut counts = [0u32; 10];
        for _ in 0..2_000 {
            for digit in random_digits(10).unwrap().bytes() {
                counts[usize::from(digit - b'0')] += 1;
            }
        }
        assert!(counts.iter().all(|count| (1_700..2_300).contains(count)), "{counts:?}");
    }
}
