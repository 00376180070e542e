use rstest::rstest;

use super::*;

fn talk() -> Vec<Message> {
    vec![
        Message::text(Role::System, "Be kind."),
        Message::text(Role::Assistant, "Hello."),
        Message::text(Role::User, "Hi."),
        Message::text(Role::Assistant, "Well?"),
        Message::text(Role::User, "Go on."),
    ]
}

fn prompt(name: &str) -> String {
    render(&Template::named(name).unwrap(), &talk()).prompt
}

#[rstest]
#[case(
    "chatml",
    "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nHi.<|im_end|>\n\
     <|im_start|>assistant\nWell?<|im_end|>\n<|im_start|>user\nGo on.<|im_end|>\n<|im_start|>assistant\n"
)]
#[case(
    "llama-3",
    "<|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n\
     Hello.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi.<|eot_id|><|start_header_id|>assistant\
     <|end_header_id|>\n\nWell?<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nGo on.<|eot_id|>\
     <|start_header_id|>assistant<|end_header_id|>\n\n"
)]
#[case("mistral", "[SYSTEM_PROMPT]Be kind.[/SYSTEM_PROMPT]Hello.</s>[INST]Hi.[/INST]Well?</s>[INST]Go on.[/INST]")]
#[case("mistral v3", "[INST] Be kind. [/INST] Hello.</s>[INST] Hi. [/INST] Well?</s>[INST] Go on. [/INST] ")]
#[case(
    "gemma",
    "<start_of_turn>user\nBe kind.<end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n<start_of_turn>user\nHi.\
     <end_of_turn>\n<start_of_turn>model\nWell?<end_of_turn>\n<start_of_turn>user\nGo on.<end_of_turn>\n\
     <start_of_turn>model\n"
)]
#[case(
    "alpaca",
    "Be kind.\n\n### Response:\nHello.\n\n### Instruction:\nHi.\n\n### Response:\nWell?\n\n### Instruction:\nGo on.\n\n\
     ### Response:\n"
)]
#[case("vicuna", "Be kind.\n\nASSISTANT: Hello.</s>\nUSER: Hi.\nASSISTANT: Well?</s>\nUSER: Go on.\nASSISTANT:")]
fn the_built_in_ones(#[case] name: &str, #[case] expected: &str) {
    assert_eq!(prompt(name), expected);
}

#[test]
fn what_is_continued_stays_open() {
    let mut talk = talk();
    talk.pop();
    let rendered = render(&Template::named("ChatML").unwrap(), &talk);
    assert!(rendered.prompt.ends_with("<|im_start|>assistant\nWell?"), "{}", rendered.prompt);
    assert_eq!(rendered.stop, ["<|im_end|>", "<|im_start|>user", "<|im_start|>assistant", "<|im_start|>system"]);
}

/// A template as SillyTavern writes one, unknown fields included.
const WRAPPED: &str = r####"{
    "name": "Mine",
    "input_sequence": "### {{name}} asks:",
    "output_sequence": "### {{char}} says:",
    "first_output_sequence": "### {{char}} begins:",
    "last_output_sequence": "### {{char}} says, at length:",
    "system_sequence": "### Note:",
    "stop_sequence": "THE END",
    "wrap": true,
    "macro": true,
    "activation_regex": "mine",
    "names_behavior": "always",
    "system_same_as_user": false,
    "sequences_as_stop_strings": true,
    "user_alignment_message": "Let us begin, {{char}}.",
    "skip_examples": false
}"####;

#[test]
fn a_template_of_sillytaverns() {
    let template = Template::find(Some(WRAPPED)).unwrap();
    let mut talk = talk();
    talk[1].name = Some("Bell".into());
    talk[2].name = Some("Anna".into());
    let rendered = render(&template, &talk);
    let expected = "### Note:\nBe kind.\n### Anna asks:\nAnna: Let us begin, Bell.\n### Bell begins:\nBell: Hello.\n\
                    ### Anna asks:\nAnna: Hi.\n### Bell says:\nBell: Well?\n### Anna asks:\nAnna: Go on.\n\
                    ### Bell says, at length:\nBell:";
    assert_eq!(rendered.prompt, expected);
    assert!(rendered.stop.starts_with(&["THE END".into(), "\n### Anna asks:".into(), "\n### Bell asks:".into()]));
}

#[test]
fn names_where_the_prompt_gives_them() {
    let mut talk = talk();
    talk[3].name = Some("Bell".into());
    let mut template = Template::named("Alpaca").unwrap();
    assert!(
        render(&template, &talk).prompt.ends_with("Bell: Well?\n\n### Instruction:\nGo on.\n\n### Response:\nBell:")
    );
    template.names_behavior = Names::None;
    assert!(!render(&template, &talk).prompt.contains("Bell"));
}

#[rstest]
#[case(None, "ChatML")]
#[case(Some("  "), "ChatML")]
#[case(Some("LLAMA3"), "Llama 3")]
fn is_found(#[case] text: Option<&str>, #[case] name: &str) {
    assert_eq!(Template::find(text).unwrap().name, name);
}

#[rstest]
#[case("Nobody's")]
#[case("{")]
#[case("{\"wrap\": \"perhaps\"}")]
#[case("{\"names_behavior\": \"sometimes\"}")]
fn is_not_found(#[case] text: &str) {
    assert_eq!(Template::find(Some(text)).unwrap_err().code(), "bad_template");
}

#[test]
fn nothing_is_an_invitation() {
    assert_eq!(render(&Template::named("ChatML").unwrap(), &[]).prompt, "<|im_start|>assistant\n");
    assert_eq!(render(&Template::default(), &[]), Rendered { prompt: String::new(), stop: Vec::new() });
}
