//! How many tokens a text is.
//!
//! One vocabulary is built in: `o200k_base`, OpenAI's of today, as OpenAI publishes it. For the models that use it the
//! count is the provider's own. For all others it is an estimate, and says so: what a language's words cost is nearer to
//! another vocabulary than to any number of bytes, and a little is added, since a prompt that turns out too long is refused
//! while one that turns out a little short is not noticed.

mod vocabulary;

use std::sync::LazyLock;

use vocabulary::Vocabulary;

/// Longer texts are not worth counting: they fit into no context.
const MAX_COUNTED: usize = 4 << 20;

/// A count of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub tokens: usize,
    /// Counted with the model's own tokenizer, rather than estimated.
    pub exact: bool,
}

/// Counts the tokens of `text` for `model`. The first call reads the vocabulary, which takes some hundredths of a second
/// and four megabytes.
pub fn count(model: &str, text: &str) -> Count {
    static O200K: LazyLock<Option<Vocabulary>> =
        LazyLock::new(|| Vocabulary::read(include_bytes!("tokens/o200k_base.tiktoken.gz")));
    let Some(vocabulary) = O200K.as_ref().filter(|_| text.len() <= MAX_COUNTED) else {
        return Count { tokens: by_length(text), exact: false };
    };
    let tokens = vocabulary.count(text);
    let more = more(model);
    Count { tokens: tokens + (tokens * more).div_ceil(100), exact: more == 0 }
}

/// An estimate from the length alone: 3.35 bytes a token.
fn by_length(text: &str) -> usize {
    (text.len() * 20).div_ceil(67)
}

/// So many tokens in a hundred more than counted has a model. None is exact.
fn more(model: &str) -> usize {
    let name = model.to_ascii_lowercase();
    let name = name.rsplit('/').next().unwrap_or_default();
    let name = name.strip_prefix("ft:").unwrap_or(name);
    let begins = |begin: &&str| name.starts_with(begin);
    let is_one_of = |known: &&str| name == *known || name.strip_prefix(known).is_some_and(|rest| rest.starts_with('-'));
    match () {
        () if ["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "chatgpt-4o"].iter().any(begins) => 0,
        () if ["o1", "o3", "o4"].iter().any(is_one_of) => 0,
        // Anthropic's vocabulary is finer.
        () if name.contains("claude") => 25,
        () => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("gpt-4o-mini", 0)]
    #[case("openai/gpt-5", 0)]
    #[case("ft:gpt-4o:mine", 0)]
    #[case("gpt-oss:20b", 0)]
    #[case("o3", 0)]
    #[case("o4-mini", 0)]
    #[case("o1x", 10)]
    #[case("gpt-4", 10)]
    #[case("anthropic/claude-9", 25)]
    #[case("llama3.2", 10)]
    #[case("", 10)]
    fn what_is_exact(#[case] model: &str, #[case] expected: usize) {
        assert_eq!(more(model), expected);
    }

    #[test]
    fn counts_and_estimates() {
        assert_eq!(count("gpt-4o", "Hello, world!"), Count { tokens: 4, exact: true });
        assert_eq!(count("llama", "Hello, world!"), Count { tokens: 5, exact: false });
        assert_eq!(count("gpt-4o", ""), Count { tokens: 0, exact: true });
        assert_eq!(count("llama", ""), Count { tokens: 0, exact: false });
        let long = "x".repeat(MAX_COUNTED + 1);
        assert_eq!(count("gpt-4o", &long), Count { tokens: 1_252_032, exact: false });
    }
}
