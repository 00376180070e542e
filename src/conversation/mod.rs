//! What turns a chat, a character and a model into a reply: prompt building, and generations, which are the server's jobs.

mod assembly;
mod calendar;
mod chance;
pub mod choices;
mod examples;
pub mod gather;
pub mod generations;
pub mod greeting;
mod ingredients;
pub mod lore;
pub mod macros;
pub mod programs;
pub mod prompt;
mod story;
pub mod talking;
mod templates;
