//! What turns a chat, a character and a model into a reply: prompt building, and generations, which are the server's jobs.

pub mod prompt;
pub mod generations;
