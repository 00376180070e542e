//! What a person owns beside chats: characters, personas, lorebooks.

use warp::http::Method;

use crate::access::Permission::CharactersOwn;
use crate::http::own::{characters, lorebooks, personas};
use crate::http::table::{Route, Who};
use Who::May;

/// Words of a card in a request.
const WORDS: u64 = 64 * 1024 * 1024;
/// A card that is brought in, with its picture and whatever else it carries.
const CARD: u64 = 128 * 1024 * 1024;
/// A lorebook.
const BOOK: u64 = crate::library::lorebooks::SIZE_MAX;
/// A picture.
const PICTURE: u64 = 64 * 1024 * 1024;

/// Its rows.
#[rustfmt::skip]
pub fn rows() -> Vec<Route> {
    vec![
        // Our dialect: characters
        Route::new(Method::GET, "/api/v1/characters", May(CharactersOwn), "list characters", characters::list),
        Route::new(Method::POST, "/api/v1/characters", May(CharactersOwn), "make a character", characters::create).takes(WORDS),
        Route::new(Method::POST, "/api/v1/characters/assistant", May(CharactersOwn), "make sure of the plain assistant", characters::assistant),
        Route::new(Method::POST, "/api/v1/characters/import", May(CharactersOwn), "bring a card in", characters::import).takes(CARD),
        Route::new(Method::GET, "/api/v1/characters/{character}", May(CharactersOwn), "a character", characters::get),
        Route::new(Method::PATCH, "/api/v1/characters/{character}", May(CharactersOwn), "change a character", characters::update).takes(WORDS),
        Route::new(Method::DELETE, "/api/v1/characters/{character}", May(CharactersOwn), "move a character to the trash", characters::delete),
        Route::new(Method::POST, "/api/v1/characters/{character}/rename", May(CharactersOwn), "give a character another name", characters::rename),
        Route::new(Method::POST, "/api/v1/characters/{character}/lorebook", May(CharactersOwn), "make a lorebook of the one in a card", lorebooks::from_character),
        Route::new(Method::POST, "/api/v1/characters/{character}/duplicate", May(CharactersOwn), "copy a character", characters::duplicate),
        Route::new(Method::GET, "/api/v1/characters/{character}/picture", May(CharactersOwn), "a character's picture", characters::picture),
        Route::new(Method::PUT, "/api/v1/characters/{character}/picture", May(CharactersOwn), "set a character's picture", characters::set_picture).takes(PICTURE),
        Route::new(Method::GET, "/api/v1/characters/{character}/export", May(CharactersOwn), "download a card", characters::export),
        // Our dialect: personas
        Route::new(Method::GET, "/api/v1/personas", May(CharactersOwn), "list personas", personas::list),
        Route::new(Method::POST, "/api/v1/personas", May(CharactersOwn), "make a persona", personas::create).takes(BOOK),
        Route::new(Method::PATCH, "/api/v1/personas/{persona}", May(CharactersOwn), "change a persona", personas::update).takes(BOOK),
        Route::new(Method::DELETE, "/api/v1/personas/{persona}", May(CharactersOwn), "move a persona to the trash", personas::delete),
        Route::new(Method::POST, "/api/v1/personas/{persona}/default", May(CharactersOwn), "choose a persona for new chats", personas::set_default),
        Route::new(Method::GET, "/api/v1/personas/{persona}/picture", May(CharactersOwn), "a persona's picture", personas::picture),
        Route::new(Method::PUT, "/api/v1/personas/{persona}/picture", May(CharactersOwn), "set a persona's picture", personas::set_picture).takes(PICTURE),
        // Our dialect: lorebooks
        Route::new(Method::GET, "/api/v1/lorebooks", May(CharactersOwn), "list lorebooks", lorebooks::list),
        Route::new(Method::POST, "/api/v1/lorebooks/import", May(CharactersOwn), "bring a lorebook in", lorebooks::import).takes(CARD),
        Route::new(Method::GET, "/api/v1/lorebooks/{name}", May(CharactersOwn), "a lorebook", lorebooks::get),
        Route::new(Method::PUT, "/api/v1/lorebooks/{name}", May(CharactersOwn), "replace a lorebook, or make one", lorebooks::put).takes(BOOK),
        Route::new(Method::DELETE, "/api/v1/lorebooks/{name}", May(CharactersOwn), "move a lorebook to the trash", lorebooks::delete),
    ]
}
