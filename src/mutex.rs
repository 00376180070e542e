//! Mutexes of the standard library, without the question of poison.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex whose data cannot be left half-changed by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
