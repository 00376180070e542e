//! Providers and programs that people use: what their servers speak, and where they are.

use serde::Serialize;

use super::Kind;

/// A provider, or a program that runs models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preset {
    /// What people call it.
    pub name: &'static str,
    /// The dialect.
    pub kind: Kind,
    /// Where it usually is.
    pub base_url: &'static str,
    /// Whether it wants a key.
    pub needs_key: bool,
    /// What one has to know.
    pub note: &'static str,
}

const fn paid(name: &'static str, kind: Kind, base_url: &'static str, note: &'static str) -> Preset {
    Preset { name, kind, base_url, needs_key: true, note }
}

const fn local(name: &'static str, kind: Kind, base_url: &'static str, note: &'static str) -> Preset {
    Preset { name, kind, base_url, needs_key: false, note }
}

/// All of them, in the order in which they are shown.
pub const ALL: &[Preset] = &[
    local("Ollama", Kind::Ollama, "http://127.0.0.1:11434", "Models on this machine; `ollama pull` fetches one."),
    local("llama.cpp", Kind::LlamaCpp, "http://127.0.0.1:8080", "llama-server; needs an instruct template."),
    local("KoboldCpp", Kind::KoboldCpp, "http://127.0.0.1:5001", "Needs an instruct template."),
    local("LM Studio", Kind::OpenAi, "http://127.0.0.1:1234/v1", "Start its local server first."),
    local("text-generation-webui", Kind::OpenAi, "http://127.0.0.1:5000/v1", "Start it with --api."),
    local("vLLM", Kind::OpenAi, "http://127.0.0.1:8000/v1", "Its usual port is ours as well: give it another."),
    local("TabbyAPI", Kind::OpenAi, "http://127.0.0.1:5000/v1", "Its key is in api_tokens.yml, unless switched off."),
    paid("OpenAI", Kind::OpenAi, "https://api.openai.com/v1", "Keys: platform.openai.com"),
    paid("Anthropic", Kind::Anthropic, "https://api.anthropic.com", "Keys: console.anthropic.com"),
    paid("Google Gemini", Kind::Gemini, "https://generativelanguage.googleapis.com", "Keys: aistudio.google.com"),
    paid("OpenRouter", Kind::OpenAi, "https://openrouter.ai/api/v1", "Many providers behind one key."),
    paid("Mistral", Kind::OpenAi, "https://api.mistral.ai/v1", "Keys: console.mistral.ai"),
    paid("DeepSeek", Kind::OpenAi, "https://api.deepseek.com/v1", "Keys: platform.deepseek.com"),
    paid("Groq", Kind::OpenAi, "https://api.groq.com/openai/v1", "Keys: console.groq.com"),
    paid("xAI", Kind::OpenAi, "https://api.x.ai/v1", "Keys: console.x.ai"),
    paid("Together", Kind::OpenAi, "https://api.together.xyz/v1", "Keys: api.together.ai"),
    local("Another OpenAI-compatible server", Kind::OpenAi, "", "Its address, mostly ending in /v1."),
    local("Another plain text server", Kind::Text, "", "OpenAI's older completions; needs an instruct template."),
];

/// Where a server of this kind is, unless one is told otherwise.
pub fn usual_address(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::OpenAi => Some("https://api.openai.com/v1"),
        Kind::Text => None,
        kind => ALL.iter().find(|preset| preset.kind == kind).map(|preset| preset.base_url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_with_an_address_of_its_own_has_it() {
        for kind in [Kind::OpenAi, Kind::Anthropic, Kind::Gemini, Kind::Ollama, Kind::LlamaCpp, Kind::KoboldCpp] {
            let address = usual_address(kind).unwrap();
            assert!(ALL.iter().any(|preset| preset.kind == kind && preset.base_url == address), "{kind:?}");
        }
        assert_eq!((usual_address(Kind::Text), usual_address(Kind::Echo)), (None, None));
    }
}
