//! What turns a chat, a character and a model into a reply: prompt building, and generations, which are the server's jobs.

mod assembly;
mod calendar;
mod chance;
mod examples;
pub mod greeting;
mod ingredients;
pub mod lore;
pub mod macros;
pub mod prompt;
