//! Who may do what. One closed list of permissions, roles as sets of them, and one decision: [`allowed`].
//!
//! This room knows users as values (a handle and a role), never as records, and nothing of HTTP. Every door asks here.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::store::Handle;

/// Something that a person may or may not do. The list is closed: a new kind of act gets a new entry here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Permission {
    /// Read and change one's own account: name, picture, password, sessions.
    AccountOwn,
    /// Read and change one's own settings and their snapshots.
    SettingsOwn,
    /// Back up, restore and reset one's own folder.
    BackupsOwn,
    /// Read and change one's own chats, and what was deleted of them.
    ChatsOwn,
    /// Read and change one's own characters, personas and lorebooks.
    CharactersOwn,
    /// Ask the models of the connections that one can use.
    ModelsUse,
    /// Make connections of one's own, to model servers of one's choice.
    ConnectionsOwn,
    /// Make API keys that act for oneself.
    KeysOwn,
    /// See who has an account, with state and size.
    UsersView,
    /// Create, rename, enable, disable and delete accounts, set their passwords.
    UsersManage,
    /// Give people roles.
    UsersRoles,
    /// Download the backup of somebody else's folder.
    BackupsOthers,
    /// Read the audit log.
    EventsView,
    /// Make and change the connections that everybody in the house can use.
    ConnectionsHouse,
    /// Change how the server works.
    SystemConfigure,
}

impl Permission {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 15] = [
        Self::AccountOwn,
        Self::SettingsOwn,
        Self::BackupsOwn,
        Self::ChatsOwn,
        Self::CharactersOwn,
        Self::ModelsUse,
        Self::ConnectionsOwn,
        Self::KeysOwn,
        Self::UsersView,
        Self::UsersManage,
        Self::UsersRoles,
        Self::BackupsOthers,
        Self::EventsView,
        Self::ConnectionsHouse,
        Self::SystemConfigure,
    ];

    /// The name in answers and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountOwn => "account.own",
            Self::SettingsOwn => "settings.own",
            Self::BackupsOwn => "backups.own",
            Self::ChatsOwn => "chats.own",
            Self::CharactersOwn => "characters.own",
            Self::ModelsUse => "models.use",
            Self::ConnectionsOwn => "connections.own",
            Self::KeysOwn => "keys.own",
            Self::UsersView => "users.view",
            Self::UsersManage => "users.manage",
            Self::UsersRoles => "users.roles",
            Self::BackupsOthers => "backups.others",
            Self::EventsView => "events.view",
            Self::ConnectionsHouse => "connections.house",
            Self::SystemConfigure => "system.configure",
        }
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions(u64);

impl Permissions {
    /// The set of these.
    pub const fn of(list: &[Permission]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < list.len() {
            bits |= 1 << list[i] as u8;
            i += 1;
        }
        Self(bits)
    }

    /// The set with these as well.
    const fn and(self, list: &[Permission]) -> Self {
        Self(self.0 | Self::of(list).0)
    }

    /// Whether `permission` is in the set.
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u8) != 0
    }

    /// Whether every permission of `other` is in this set too.
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The permissions in the set, in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.has(*permission))
    }
}

/// A named set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// People, but not the server, and never an admin.
    Manager,
    /// Sees who is there; acts on reports once there are any.
    Moderator,
    /// One's own things.
    User,
}

const OWN: Permissions = Permissions::of(&[
    Permission::AccountOwn,
    Permission::SettingsOwn,
    Permission::BackupsOwn,
    Permission::ChatsOwn,
    Permission::CharactersOwn,
    Permission::ModelsUse,
    Permission::ConnectionsOwn,
    Permission::KeysOwn,
]);

impl Role {
    /// All roles, the strongest first.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Manager, Self::Moderator, Self::User];

    /// What the role may do.
    pub const fn permissions(self) -> Permissions {
        match self {
            Self::Admin => Permissions::of(&Permission::ALL),
            Self::Manager => OWN.and(&[Permission::UsersView, Permission::UsersManage, Permission::UsersRoles]),
            Self::Moderator => OWN.and(&[Permission::UsersView]),
            Self::User => OWN,
        }
    }

    /// The name in records and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Manager => "manager",
            Self::Moderator => "moderator",
            Self::User => "user",
        }
    }
}

/// Somebody who acts, as a value.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// Who.
    pub handle: &'a Handle,
    /// In which role.
    pub role: Role,
}

/// What is acted on.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// The house itself, or the actor's own things.
    House,
    /// A person with this role.
    Person(&'a Handle, Role),
    /// This role, which is given to somebody.
    Role(Role),
}

/// Why something is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The actor's role lacks this permission.
    Lacks(Permission),
    /// The person acted on holds rights that the actor does not.
    Above,
}

impl Denial {
    /// The sentence for people.
    pub fn explain(self, role: Role) -> String {
        match self {
            Self::Lacks(permission) => {
                format!("Your role ({}) does not have the permission {}.", role.name(), permission.name())
            }
            Self::Above => {
                format!("Your role ({}) cannot act on, or make, someone who may do more than you.", role.name())
            }
        }
    }
}

/// The decision that every door asks for: may `who` do `action` to `what`?
///
/// Whoever acts on a person must hold all that the person holds, and whoever gives a role all that the role holds, so that
/// a manager can neither touch an admin, nor make one, nor become one. Acting on oneself needs no more than the permission.
pub fn allowed(who: Actor<'_>, action: Permission, what: What<'_>) -> Result<(), Denial> {
    let held = who.role.permissions();
    if !held.has(action) {
        return Err(Denial::Lacks(action));
    }
    match what {
        What::Person(handle, role) if handle != who.handle && !held.covers(role.permissions()) => Err(Denial::Above),
        What::Role(role) if !held.covers(role.permissions()) => Err(Denial::Above),
        What::Person(..) | What::Role(_) | What::House => Ok(()),
    }
}

/// [`allowed`], as an error for the person who asked.
pub fn require(who: Actor<'_>, action: Permission, what: What<'_>) -> Result<()> {
    allowed(who, action, what).map_err(|denial| Error::forbidden("forbidden", denial.explain(who.role)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(text: &str) -> Handle {
        Handle::parse(text).unwrap()
    }

    #[test]
    fn roles_are_ordered_by_inclusion() {
        for pair in Role::ALL.windows(2) {
            assert!(pair[0].permissions().covers(pair[1].permissions()), "{pair:?}");
            assert!(!pair[1].permissions().covers(pair[0].permissions()), "{pair:?}");
        }
    }

    #[test]
    fn every_permission_is_listed_once() {
        let names: std::collections::HashSet<_> = Permission::ALL.iter().map(|p| p.name()).collect();
        assert_eq!(names.len(), Permission::ALL.len());
        assert_eq!(Role::Admin.permissions().iter().count(), Permission::ALL.len());
    }

    #[test]
    fn a_manager_can_neither_touch_nor_make_nor_become_an_admin() {
        let (mia, root, bob) = (handle("mia"), handle("root"), handle("bob"));
        let mia = Actor { handle: &mia, role: Role::Manager };
        assert_eq!(allowed(mia, Permission::UsersManage, What::Person(&root, Role::Admin)), Err(Denial::Above));
        assert_eq!(allowed(mia, Permission::UsersManage, What::Person(&bob, Role::User)), Ok(()));
        assert_eq!(allowed(mia, Permission::UsersRoles, What::Role(Role::Admin)), Err(Denial::Above));
        assert_eq!(allowed(mia, Permission::UsersRoles, What::Role(Role::Manager)), Ok(()));
        assert_eq!(
            allowed(mia, Permission::SystemConfigure, What::House),
            Err(Denial::Lacks(Permission::SystemConfigure))
        );
    }

    #[test]
    fn the_decision_agrees_with_its_words_for_all_pairs() {
        let (a, b) = (handle("a"), handle("b"));
        for who in Role::ALL {
            for target in Role::ALL {
                for action in Permission::ALL {
                    let verdict = allowed(Actor { handle: &a, role: who }, action, What::Person(&b, target));
                    let expected =
                        who.permissions().has(action) && target.permissions().iter().all(|p| who.permissions().has(p));
                    assert_eq!(verdict.is_ok(), expected);
                }
            }
        }
    }
}
