//! The house: the door, people, settings, backups.

use warp::http::Method;

use crate::access::Permission::{
    AccountOwn, BackupsOthers, BackupsOwn, EventsView, SettingsOwn, UsersManage, UsersRoles, UsersView,
};
use crate::http::own::{backups, events, house, me, restores, session, sessions, settings, snapshots, users};
use crate::http::table::{Route, Who};
use crate::http::{openapi, tavern};
use Who::{May, Public, SignedIn};

/// Settings hold everything that SillyTavern's client remembers, extensions included.
const SETTINGS: u64 = 64 * 1024 * 1024;
/// A picture as a data URL is a third larger than the picture.
const DATA_URL: u64 = me::AVATAR_LIMIT * 4 / 3 + 4096;
/// Archives have a limit of their own, from the configuration.
const ARCHIVE: u64 = u64::MAX;

/// Its rows.
#[rustfmt::skip]
pub fn rows() -> Vec<Route> {
    vec![
        // SillyTavern's dialect: core
        Route::new(Method::GET, "/csrf-token", Public, "the CSRF token of this browser", tavern::core::csrf_token),
        Route::new(Method::GET, "/version", SignedIn, "which server this is", tavern::core::version),
        Route::new(Method::POST, "/api/ping", SignedIn, "whether the server is there", tavern::core::ping),
        // SillyTavern's dialect: people
        Route::new(Method::POST, "/api/users/list", Public, "who can sign in", tavern::users::list),
        Route::new(Method::POST, "/api/users/login", Public, "sign in", tavern::users::login),
        Route::new(Method::POST, "/api/users/recover-step1", Public, "print a recovery code", tavern::users::recover_step1),
        Route::new(Method::POST, "/api/users/recover-step2", Public, "use a recovery code", tavern::users::recover_step2),
        Route::new(Method::POST, "/api/users/logout", SignedIn, "sign out", tavern::users::logout),
        Route::new(Method::GET, "/api/users/me", May(AccountOwn), "one's own account", tavern::users::me),
        Route::new(Method::POST, "/api/users/change-avatar", May(AccountOwn), "set a picture", tavern::users::change_avatar).takes(DATA_URL),
        Route::new(Method::POST, "/api/users/change-password", May(AccountOwn), "set a password", tavern::users::change_password),
        Route::new(Method::POST, "/api/users/change-name", May(AccountOwn), "set a display name", tavern::users::change_name),
        Route::new(Method::POST, "/api/users/backup", May(BackupsOwn), "download a folder", tavern::users::backup),
        Route::new(Method::POST, "/api/users/reset-settings", May(SettingsOwn), "settings back to the defaults", tavern::users::reset_settings),
        Route::new(Method::POST, "/api/users/reset-step1", May(BackupsOwn), "print a reset code", tavern::users::reset_step1),
        Route::new(Method::POST, "/api/users/reset-step2", May(BackupsOwn), "start one's folder afresh", tavern::users::reset_step2),
        Route::new(Method::POST, "/api/users/get", May(UsersView), "everyone", tavern::admin::get),
        Route::new(Method::POST, "/api/users/create", May(UsersManage), "make an account", tavern::admin::create),
        Route::new(Method::POST, "/api/users/delete", May(UsersManage), "delete an account", tavern::admin::delete),
        Route::new(Method::POST, "/api/users/enable", May(UsersManage), "enable an account", tavern::admin::enable),
        Route::new(Method::POST, "/api/users/disable", May(UsersManage), "disable an account", tavern::admin::disable),
        Route::new(Method::POST, "/api/users/promote", May(UsersRoles), "make an admin", tavern::admin::promote),
        Route::new(Method::POST, "/api/users/demote", May(UsersRoles), "make an ordinary user", tavern::admin::demote),
        Route::new(Method::POST, "/api/users/slugify", May(UsersManage), "turn a name into a handle", tavern::admin::slugify),
        // SillyTavern's dialect: settings
        Route::new(Method::POST, "/api/settings/get", May(SettingsOwn), "settings and presets", tavern::settings::get),
        Route::new(Method::POST, "/api/settings/save", May(SettingsOwn), "replace the settings", tavern::settings::save).takes(SETTINGS),
        Route::new(Method::POST, "/api/settings/get-snapshots", May(SettingsOwn), "list snapshots", tavern::settings::get_snapshots),
        Route::new(Method::POST, "/api/settings/make-snapshot", May(SettingsOwn), "make a snapshot", tavern::settings::make_snapshot),
        Route::new(Method::POST, "/api/settings/load-snapshot", May(SettingsOwn), "read a snapshot", tavern::settings::load_snapshot),
        Route::new(Method::POST, "/api/settings/restore-snapshot", May(SettingsOwn), "bring a snapshot back", tavern::settings::restore_snapshot),

        // Our dialect: the house and the door
        Route::new(Method::GET, "/api/v1/openapi.json", Public, "this list, for machines", openapi::get),
        Route::new(Method::GET, "/api/v1/house", Public, "what a page asks first", house::get),
        Route::new(Method::POST, "/api/v1/session", Public, "sign in", session::create),
        Route::new(Method::DELETE, "/api/v1/session", SignedIn, "sign out", session::end),
        Route::new(Method::POST, "/api/v1/recovery", Public, "print a recovery code", session::ask_for_code),
        Route::new(Method::POST, "/api/v1/recovery/redeem", Public, "use a recovery code", session::redeem),
        // Our dialect: me
        Route::new(Method::GET, "/api/v1/me", May(AccountOwn), "one's own account", me::get),
        Route::new(Method::PATCH, "/api/v1/me", May(AccountOwn), "change one's display name", me::update),
        Route::new(Method::PUT, "/api/v1/me/avatar", May(AccountOwn), "set one's picture", me::set_avatar).takes(me::AVATAR_LIMIT),
        Route::new(Method::DELETE, "/api/v1/me/avatar", May(AccountOwn), "remove one's picture", me::remove_avatar),
        Route::new(Method::PUT, "/api/v1/me/password", May(AccountOwn), "set one's password", me::set_password),
        Route::new(Method::GET, "/api/v1/me/sessions", May(AccountOwn), "where one is signed in", sessions::list),
        Route::new(Method::DELETE, "/api/v1/me/sessions", May(AccountOwn), "end all other sessions", sessions::end_others),
        Route::new(Method::DELETE, "/api/v1/me/sessions/{id}", May(AccountOwn), "end a session", sessions::end),
        Route::new(Method::GET, "/api/v1/me/settings", May(SettingsOwn), "the settings file", settings::get),
        Route::new(Method::PUT, "/api/v1/me/settings", May(SettingsOwn), "replace a version of the settings", settings::put).takes(SETTINGS),
        Route::new(Method::GET, "/api/v1/me/settings/state", May(SettingsOwn), "how the settings are", settings::state),
        Route::new(Method::POST, "/api/v1/me/settings/reset", May(SettingsOwn), "settings back to the defaults", settings::reset),
        Route::new(Method::GET, "/api/v1/me/snapshots", May(SettingsOwn), "list snapshots", snapshots::list),
        Route::new(Method::POST, "/api/v1/me/snapshots", May(SettingsOwn), "make a snapshot", snapshots::make),
        Route::new(Method::GET, "/api/v1/me/snapshots/{name}", May(SettingsOwn), "read a snapshot", snapshots::get),
        Route::new(Method::DELETE, "/api/v1/me/snapshots/{name}", May(SettingsOwn), "delete a snapshot", snapshots::remove),
        Route::new(Method::GET, "/api/v1/me/snapshots/{name}/diff", May(SettingsOwn), "compare a snapshot with now", snapshots::diff),
        Route::new(Method::POST, "/api/v1/me/snapshots/{name}/restore", May(SettingsOwn), "bring a snapshot back", snapshots::restore),
        Route::new(Method::POST, "/api/v1/me/backups", May(BackupsOwn), "a ticket for a backup", backups::create),
        Route::new(Method::GET, "/api/v1/me/backups/{id}", May(BackupsOwn), "how far a backup is", backups::progress),
        Route::new(Method::GET, "/api/v1/me/backups/{id}/download", May(BackupsOwn), "download a backup", backups::download),
        Route::new(Method::POST, "/api/v1/me/restores", May(BackupsOwn), "upload an archive and see what it would do", restores::create).takes(ARCHIVE),
        Route::new(Method::GET, "/api/v1/me/restores/{id}", May(BackupsOwn), "what an uploaded archive would do", restores::get),
        Route::new(Method::DELETE, "/api/v1/me/restores/{id}", May(BackupsOwn), "forget an uploaded archive", restores::discard),
        Route::new(Method::POST, "/api/v1/me/restores/{id}/apply", May(BackupsOwn), "bring parts of an archive back", restores::apply),
        Route::new(Method::GET, "/api/v1/me/undo", May(BackupsOwn), "list undo points", restores::undo_points),
        Route::new(Method::POST, "/api/v1/me/undo/{id}", May(BackupsOwn), "bring an undo point back", restores::undo),
        Route::new(Method::DELETE, "/api/v1/me/undo/{id}", May(BackupsOwn), "remove an undo point", restores::remove_undo),
        Route::new(Method::POST, "/api/v1/me/reset", May(BackupsOwn), "print a reset code", restores::ask_for_reset),
        Route::new(Method::POST, "/api/v1/me/reset/confirm", May(BackupsOwn), "start one's folder afresh", restores::confirm_reset),
        // Our dialect: people
        Route::new(Method::GET, "/api/v1/users", May(UsersView), "everyone", users::list),
        Route::new(Method::POST, "/api/v1/users", May(UsersManage), "make an account", users::create),
        Route::new(Method::PATCH, "/api/v1/users/{handle}", May(UsersManage), "change an account", users::update),
        Route::new(Method::DELETE, "/api/v1/users/{handle}", May(UsersManage), "delete an account", users::delete),
        Route::new(Method::GET, "/api/v1/users/{handle}/size", May(UsersView), "how large a folder is", users::size),
        Route::new(Method::PUT, "/api/v1/users/{handle}/password", May(UsersManage), "set somebody's password", users::set_password),
        Route::new(Method::GET, "/api/v1/users/{handle}/avatar", Public, "somebody's picture", me::avatar),
        Route::new(Method::PUT, "/api/v1/users/{handle}/avatar", May(UsersManage), "set somebody's picture", users::set_avatar).takes(me::AVATAR_LIMIT),
        Route::new(Method::DELETE, "/api/v1/users/{handle}/avatar", May(UsersManage), "remove somebody's picture", users::remove_avatar),
        Route::new(Method::POST, "/api/v1/users/{handle}/backups", May(BackupsOthers), "a ticket for somebody's backup", backups::create_for),
        Route::new(Method::GET, "/api/v1/handles/slug", May(UsersManage), "turn a name into a handle", users::slug),
        Route::new(Method::GET, "/api/v1/events", May(EventsView), "the audit log", events::list),
    ]
}
