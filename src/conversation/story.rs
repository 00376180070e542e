//! SillyTavern's story string: in which order, and between which words, the texts around a chat are put together for models
//! that complete plain text. It is a template of `{{#if field}}…{{field}}…{{/if}}`; other macros in it are ordinary ones.

/// A text around a chat, by its names in a story string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// `system`: the main prompt.
    Main,
    /// `wiBefore` or `loreBefore`: lorebook entries before the character.
    LoreBefore,
    /// `wiAfter` or `loreAfter`: lorebook entries after the character.
    LoreAfter,
    /// `description`.
    Description,
    /// `personality`.
    Personality,
    /// `scenario`.
    Scenario,
    /// `persona`, where its description goes in the prompt.
    Persona,
    /// `anchorBefore`: what goes above everything.
    Top,
    /// `anchorAfter`: what goes below the scenario.
    Bottom,
    /// A field that is always empty here, `mesExamples`: examples go with the chat.
    Nothing,
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "system" => Self::Main,
            "wiBefore" | "loreBefore" => Self::LoreBefore,
            "wiAfter" | "loreAfter" => Self::LoreAfter,
            "description" => Self::Description,
            "personality" => Self::Personality,
            "scenario" => Self::Scenario,
            "persona" => Self::Persona,
            "anchorBefore" => Self::Top,
            "anchorAfter" => Self::Bottom,
            "mesExamples" | "mesExamplesRaw" => Self::Nothing,
            _ => return None,
        })
    }
}

/// A piece of a story string.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Bit {
    /// Words, macros included.
    Words(String),
    /// What a field says.
    Value(Field),
    /// The begin of what is there only if a field says something.
    If(Field),
    /// Its end.
    EndIf,
    /// `{{trim}}`: no line ends around it.
    Trim,
}

/// A story string that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story(Vec<Bit>);

impl Story {
    /// Takes a template apart; none if it is empty, or uses more of its language than is known here.
    pub fn parse(template: &str) -> Option<Self> {
        let mut bits = Vec::new();
        let (mut rest, mut open) = (template, 0_usize);
        while let Some((words, more)) = rest.split_once("{{") {
            bits.push(Bit::Words(words.to_owned()));
            let (inside, after) = more.split_once("}}")?;
            // `{{{field}}}` is the same without quoting, and nothing is quoted here.
            let after = if inside.starts_with('{') { after.strip_prefix('}')? } else { after };
            rest = after;
            let bit = match inside.trim_matches(['{', ' ']) {
                "/if" => Bit::EndIf,
                "trim" => Bit::Trim,
                name if name.starts_with("#if ") => Bit::If(Field::named(name.get(4..)?.trim())?),
                name if name.starts_with(['#', '/', '^', '>', '&']) || name == "else" => return None,
                name => Field::named(name).map_or_else(|| Bit::Words(format!("{{{{{inside}}}}}")), Bit::Value),
            };
            open = match bit {
                Bit::If(_) => open + 1,
                Bit::EndIf => open.checked_sub(1)?,
                _ => open,
            };
            bits.push(bit);
        }
        bits.push(Bit::Words(rest.to_owned()));
        bits.retain(|bit| *bit != Bit::Words(String::new()));
        (open == 0 && !template.trim().is_empty()).then_some(Self(bits))
    }

    /// The texts put together. `says` gives a field's words, `expand` replaces macros in the template's own.
    pub fn tell(&self, says: impl Fn(Field) -> String, expand: impl Fn(&str) -> String) -> String {
        let mut told = String::new();
        let (mut skipped, mut trims) = (0_usize, false);
        for bit in &self.0 {
            let words = match bit {
                Bit::If(_) if skipped > 0 => {
                    skipped += 1;
                    continue;
                }
                Bit::EndIf => {
                    skipped = skipped.saturating_sub(1);
                    continue;
                }
                _ if skipped > 0 => continue,
                Bit::If(field) => {
                    skipped = usize::from(says(*field).is_empty());
                    continue;
                }
                Bit::Trim => {
                    told.truncate(told.trim_end_matches('\n').len());
                    trims = true;
                    continue;
                }
                Bit::Value(field) => says(*field),
                Bit::Words(words) => expand(words),
            };
            let words = if trims { words.trim_start_matches('\n') } else { &words };
            trims &= words.is_empty();
            told.push_str(words);
        }
        told.trim_start_matches('\n').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const USUAL: &str = "{{#if system}}{{system}}\n{{/if}}{{#if description}}{{description}}\n{{/if}}\
                         {{#if scenario}}Scene: {{scenario}}\n{{/if}}{{#if persona}}{{persona}}\n{{/if}}{{trim}}";

    fn says(field: Field) -> String {
        match field {
            Field::Main => "Be Eva.".to_owned(),
            Field::Description => "Eva keeps the light.\n".to_owned(),
            Field::Persona => "{{not a macro}}".to_owned(),
            _ => String::new(),
        }
    }

    #[rstest]
    #[case(USUAL, "Be Eva.\nEva keeps the light.\n\n{{not a macro}}")]
    #[case("{{persona}} / {{{system}}}", "{{not a macro}} / Be Eva.")]
    #[case("\n\nIt is {{char}}.{{#if scenario}} Never {{#if system}}seen{{/if}} {{/if}}\n", "It is EVA.\n")]
    #[case("{{#if system}}a{{#if persona}}b{{/if}}{{#if scenario}}c{{/if}}d{{/if}}", "abd")]
    #[case("a\n\n{{trim}}\n\nb", "ab")]
    #[case("{{ system }}", "Be Eva.")]
    fn texts_are_put_together(#[case] template: &str, #[case] expected: &str) {
        let told = Story::parse(template).unwrap().tell(says, |words| words.replace("{{char}}", "EVA"));
        assert_eq!(told, expected);
    }

    #[rstest]
    #[case("")]
    #[case(" \n")]
    #[case("{{#each x}}{{/each}}")]
    #[case("{{#if system}}a{{else}}b{{/if}}")]
    #[case("{{#if system}}a")]
    #[case("a{{/if}}")]
    #[case("{{#if nobody}}a{{/if}}")]
    #[case("{{system")]
    #[case("{{{system}}")]
    fn what_is_not_understood_is_none(#[case] template: &str) {
        assert_eq!(Story::parse(template), None);
    }
}
