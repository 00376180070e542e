//! What a person owns beside chats: characters, personas, lorebooks.

use warp::http::Method;

use crate::access::Permission::CharactersOwn;
use crate::http::own::characters;
use crate::http::table::{Route, Who};
use Who::May;

/// Words of a card in a request.
const WORDS: u64 = 64 * 1024 * 1024;
/// A card that is brought in, with its picture and whatever else it carries.
const CARD: u64 = 128 * 1024 * 1024;
/// A picture.
const PICTURE: u64 = 64 * 1024 * 1024;

/// Its rows.
#[rustfmt::skip]
pub fn rows() -> Vec<Route> {
    let get = Method::GET;
    let post = Method::POST;
    let put = Method::PUT;
    let patch = Method::PATCH;
    vec![
        // Our dialect: characters
        Route::new(get.clone(), "/api/v1/characters", May(CharactersOwn), "list characters", characters::list),
        Route::new(post.clone(), "/api/v1/characters", May(CharactersOwn), "make a character", characters::create).takes(WORDS),
        Route::new(post.clone(), "/api/v1/characters/assistant", May(CharactersOwn), "make sure of the plain assistant", characters::assistant),
        Route::new(post.clone(), "/api/v1/characters/import", May(CharactersOwn), "bring a card in", characters::import).takes(CARD),
        Route::new(get.clone(), "/api/v1/characters/{character}", May(CharactersOwn), "a character", characters::get),
        Route::new(patch.clone(), "/api/v1/characters/{character}", May(CharactersOwn), "change a character", characters::update).takes(WORDS),
        Route::new(post.clone(), "/api/v1/characters/{character}/duplicate", May(CharactersOwn), "copy a character", characters::duplicate),
        Route::new(get.clone(), "/api/v1/characters/{character}/picture", May(CharactersOwn), "a character's picture", characters::picture),
        Route::new(put.clone(), "/api/v1/characters/{character}/picture", May(CharactersOwn), "set a character's picture", characters::set_picture).takes(PICTURE),
        Route::new(get.clone(), "/api/v1/characters/{character}/export", May(CharactersOwn), "download a card", characters::export),
    ]
}
