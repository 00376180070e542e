//! Chats, what was deleted, search.

use warp::http::Method;

use crate::access::Permission::ChatsOwn;
use crate::http::own::{chats, images, messages, trash};
use crate::http::table::{Route, Who};
use Who::May;

/// What a person says, with pictures as data URLs.
const MESSAGE: u64 = 64 * 1024 * 1024;

/// A file with years of conversations.
const IMPORT: u64 = 256 * 1024 * 1024;

/// Its rows.
#[rustfmt::skip]
pub fn rows() -> Vec<Route> {
    vec![
        // Our dialect: chats
        Route::new(Method::GET, "/api/v1/chats", May(ChatsOwn), "list chats, the latest first", chats::list),
        Route::new(Method::GET, "/api/v1/characters/{character}/chats", May(ChatsOwn), "list the chats with a character", chats::of_character),
        Route::new(Method::POST, "/api/v1/characters/{character}/chats", May(ChatsOwn), "begin a chat", chats::create),
        Route::new(Method::GET, "/api/v1/chats/{character}/{chat}", May(ChatsOwn), "a chat, with some of its messages", chats::get),
        Route::new(Method::PATCH, "/api/v1/chats/{character}/{chat}", May(ChatsOwn), "change a chat as a whole: name, pin, note", chats::update).takes(MESSAGE),
        Route::new(Method::DELETE, "/api/v1/chats/{character}/{chat}", May(ChatsOwn), "move a chat to the trash", chats::delete),
        Route::new(Method::GET, "/api/v1/chats/{character}/{chat}/export", May(ChatsOwn), "download a chat", chats::export),
        Route::new(Method::POST, "/api/v1/characters/{character}/chats/import", May(ChatsOwn), "bring chats in from a file", chats::bring_in).takes(IMPORT),
        Route::new(Method::POST, "/api/v1/chats/{character}/{chat}/branch", May(ChatsOwn), "a new chat of what was said up to here", chats::branch),
        Route::new(Method::POST, "/api/v1/chats/{character}/{chat}/messages", May(ChatsOwn), "add a message", messages::create).takes(MESSAGE),
        Route::new(Method::PATCH, "/api/v1/chats/{character}/{chat}/messages/{index}", May(ChatsOwn), "change a message", messages::update).takes(MESSAGE),
        Route::new(Method::DELETE, "/api/v1/chats/{character}/{chat}/messages/{index}", May(ChatsOwn), "delete a message, or it and all later", messages::delete),
        Route::new(Method::POST, "/api/v1/chats/{character}/{chat}/messages/{index}/move", May(ChatsOwn), "move a message", messages::move_to),
        // Our dialect: SillyTavern's group chats, to be read
        Route::new(Method::GET, "/api/v1/group-chats/{chat}", May(ChatsOwn), "a group chat, with some of its messages", chats::get_of_group),
        Route::new(Method::GET, "/api/v1/group-chats/{chat}/export", May(ChatsOwn), "download a group chat", chats::export_of_group),
        // Our dialect: pictures in chats
        Route::new(Method::POST, "/api/v1/characters/{character}/images", May(ChatsOwn), "keep a picture for a message", images::create).takes(images::LIMIT),
        Route::new(Method::GET, "/api/v1/images/{character}/{file}", May(ChatsOwn), "a picture in a chat", images::get),
        // Our dialect: the trash
        Route::new(Method::GET, "/api/v1/trash", May(ChatsOwn), "what was deleted or replaced", trash::list),
        Route::new(Method::POST, "/api/v1/trash/{id}/restore", May(ChatsOwn), "bring something back from the trash", trash::restore),
        Route::new(Method::DELETE, "/api/v1/trash/{id}", May(ChatsOwn), "erase something for good", trash::erase),
        Route::new(Method::DELETE, "/api/v1/trash", May(ChatsOwn), "erase everything in the trash for good", trash::empty),
    ]
}
