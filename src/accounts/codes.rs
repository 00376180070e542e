//! One-time codes that are printed on the server's console: whoever can read it runs the house.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use crate::error::Result;
use crate::random;
use crate::store::{self, Handle};

/// How long a code is good for.
pub const LIFETIME: Duration = Duration::from_secs(5 * 60);
/// Wrong tries after which a code is void, wherever they come from.
const TRIES: u8 = 5;

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
}

#[derive(Debug)]
struct Code {
    digits: String,
    until: Instant,
    tries_left: u8,
}

impl Codes {
    /// Makes a code of `length` digits (4 to 10). It replaces an earlier one.
    pub fn make(&self, purpose: Purpose, handle: &Handle, length: u8) -> Result<String> {
        let digits = random_digits(length)?;
        let code = Code { digits: digits.clone(), until: Instant::now() + LIFETIME, tries_left: TRIES };
        store::lock(&self.open).insert((purpose, handle.clone()), code);
        Ok(digits)
    }

    /// Whether `typed` is the open code. A right code is used up; the fifth wrong one voids it.
    pub fn redeem(&self, purpose: Purpose, handle: &Handle, typed: &str) -> bool {
        let key = (purpose, handle.clone());
        let mut open = store::lock(&self.open);
        let Some(code) = open.get_mut(&key) else { return false };
        if Instant::now() >= code.until {
            open.remove(&key);
            return false;
        }
        let right = bool::from(code.digits.as_bytes().ct_eq(typed.trim().as_bytes()));
        code.tries_left -= 1;
        if right || code.tries_left == 0 {
            open.remove(&key);
        }
        right
    }

    /// Voids the codes of an account that is gone.
    pub fn void(&self, handle: &Handle) {
        store::lock(&self.open).retain(|(_, of), _| of != handle);
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

    fn handle(text: &str) -> Handle {
        Handle::parse(text).unwrap()
    }

    #[test]
    fn a_code_works_once_and_only_for_its_account_and_purpose() {
        let (codes, ada, bob) = (Codes::default(), handle("ada"), handle("bob"));
        let code = codes.make(Purpose::Recovery, &ada, 10).unwrap();
        assert_eq!(code.len(), 10);
        assert!(!codes.redeem(Purpose::Recovery, &bob, &code));
        assert!(!codes.redeem(Purpose::Reset, &ada, &code));
        assert!(codes.redeem(Purpose::Recovery, &ada, &format!(" {code} ")));
        assert!(!codes.redeem(Purpose::Recovery, &ada, &code));
    }

    #[test]
    fn the_fifth_wrong_try_voids_it() {
        let (codes, ada) = (Codes::default(), handle("ada"));
        let code = codes.make(Purpose::Recovery, &ada, 4).unwrap();
        for _ in 0..TRIES {
            assert!(!codes.redeem(Purpose::Recovery, &ada, "not it"));
        }
        assert!(!codes.redeem(Purpose::Recovery, &ada, &code));
    }

    #[test]
    fn a_new_code_replaces_the_old_one() {
        let (codes, ada) = (Codes::default(), handle("ada"));
        let old = codes.make(Purpose::Recovery, &ada, 10).unwrap();
        let new = codes.make(Purpose::Recovery, &ada, 10).unwrap();
        assert!(!codes.redeem(Purpose::Recovery, &ada, &old));
        assert!(codes.redeem(Purpose::Recovery, &ada, &new));
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
