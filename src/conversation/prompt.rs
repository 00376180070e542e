//! The prompt: what is sent, part by part.
