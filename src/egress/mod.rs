//! The one way out: every request that this server makes to another goes through here.
