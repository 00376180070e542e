use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;

const SPEAKERS: Speakers<'_> = Speakers { character: "Ada", user: "Bob" };

/// Who said what in each chat, in short.
fn said(bytes: &[u8]) -> Result<Vec<String>> {
    let chats = read(bytes, SPEAKERS)?;
    Ok(chats
        .iter()
        .map(|chat| {
            let mut lines = chat.text.split(|byte| *byte == b'\n');
            assert!(lines.next().and_then(Header::parse).is_some());
            let words = lines.map(|line| match Message::parse(line) {
                Some(message) => {
                    let thoughts = message.reasoning().map(|text| format!("({text})")).unwrap_or_default();
                    format!(
                        "{}{}:{thoughts}{}",
                        message.name(),
                        if message.is_user() { "*" } else { "" },
                        message.text()
                    )
                }
                None => "?".to_owned(),
            });
            let words = words.collect::<Vec<_>>().join("|");
            chat.title.as_ref().map_or(words.clone(), |title| format!("{title}> {words}"))
        })
        .collect())
}

#[rstest]
#[case::kobold_lite(
    json!({ "savedsettings": { "chatname": "Me", "chatopponent": "Eve||$||Zoe" }, "prompt": "{{[OUTPUT]}}Hi", "actions": ["{{[INPUT]}} Ho", "Hm{{[OUTPUT]}}", ""] }),
    &["Eve:Hi|Me*:Ho|Eve:Hm"]
)]
#[case::cai_tools(
    json!({ "histories": { "histories": [{ "msgs": [{ "src": { "is_human": false }, "text": "Hi" }, { "src": { "is_human": true }, "text": "Ho" }] }, { "msgs": [] }] } }),
    &["Ada:Hi|Bob*:Ho"]
)]
#[case::text_generation_webui_s_history(json!({ "internal": [["<|BEGIN-VISIBLE-CHAT|>", "Hi"], ["ho", "Hm"]], "visible": [["", "Hi"], ["Ho", "Hm"]] }), &["Ada:Hi|Bob*:Ho|Ada:Hm"])]
#[case::text_generation_webui(json!({ "data": [], "data_visible": [["", "Hi"], ["Ho", "Hm"]] }), &["Ada:Hi|Bob*:Ho|Ada:Hm"])]
#[case::agnai(json!({ "messages": [{ "msg": "Hi", "characterId": "x" }, { "msg": "Ho", "userId": "anon" }] }), &["Ada:Hi|Bob*:Ho"])]
#[case::risu(
    json!({ "type": "risuChat", "ver": 1, "data": { "name": "Tea", "message": [{ "role": "char", "data": "Hi", "time": 1_700_000_000_000_i64 }, { "role": "user", "data": "Ho", "name": "Zed" }] } }),
    &["Tea> Ada:Hi|Zed*:Ho"]
)]
#[case::claude(
    json!([{ "name": "One", "chat_messages": [{ "sender": "human", "text": "Hi" }, { "sender": "assistant", "text": "x", "content": [{ "type": "thinking", "thinking": "hm" }, { "type": "text", "text": "Ho" }] }] }, { "name": "", "chat_messages": [] }]),
    &["One> Bob*:Hi|Ada:(hm)Ho"]
)]
#[case::chatgpt(
    json!([{ "title": "T", "current_node": "d", "mapping": {
        "a": { "parent": null, "children": ["b"], "message": null },
        "b": { "parent": "a", "children": ["c", "d"], "message": { "author": { "role": "user" }, "create_time": 1.5, "content": { "content_type": "text", "parts": ["Hi", { "text": "and" }] } } },
        "c": { "parent": "b", "children": [], "message": { "author": { "role": "assistant" }, "content": { "content_type": "text", "parts": ["other"] } } },
        "d": { "parent": "b", "children": [], "message": { "author": { "role": "assistant" }, "metadata": { "model_slug": "m" }, "content": { "content_type": "text", "parts": ["Ho"] } } },
    } }]),
    &["T> Bob*:Hi\n\nand|Ada:Ho"]
)]
#[case::librechat(
    json!({ "conversationId": "c", "title": "L", "messages": [
        { "messageId": "1", "parentMessageId": "00", "text": "Hi", "isCreatedByUser": true },
        { "messageId": "2", "parentMessageId": "1", "text": "other", "isCreatedByUser": false },
        { "messageId": "3", "parentMessageId": "1", "text": "", "isCreatedByUser": false, "content": [{ "type": "think", "think": "hm" }, { "type": "text", "text": { "value": "Ho" } }] },
    ] }),
    &["L> Bob*:Hi|Ada:(hm)Ho"]
)]
#[case::librechat_tree(
    json!({ "conversationId": "c", "title": "L", "recursive": true, "messages": [{ "text": "Hi", "isCreatedByUser": true, "children": [{ "text": "other" }, { "text": "Ho", "sender": "GPT" }] }] }),
    &["L> Bob*:Hi|Ada:Ho"]
)]
#[case::chatbot_ui(json!({ "version": 4, "history": [{ "name": "C", "messages": [{ "role": "user", "content": "Hi" }] }] }), &["C> Bob*:Hi"])]
#[case::grok(
    json!({ "conversations": [{ "conversation": { "title": "G" }, "responses": [{ "response": { "sender": "human", "message": "Hi" } }, { "response": { "sender": "ASSISTANT", "message": "Ho" } }] }] }),
    &["G> Bob*:Hi|Ada:Ho"]
)]
#[case::sillytavern_as_a_list(json!([{ "chat_metadata": {} }, { "name": "Ada", "mes": "Hi" }]), &["Ada:Hi"])]
fn every_format(#[case] file: Value, #[case] chats: &[&str]) {
    assert_eq!(said(file.to_string().as_bytes()).unwrap(), chats);
}

#[test]
fn sillytavern_stays_as_it_is() {
    let text = "{\"chat_metadata\":{\"odd\":1.50},\"user_name\":\"unused\"}\n{\"name\":\"Ada\",\"mes\":\"Hi\",\"n\":1e2}\n{broken\n{\"name\":\"Bob\",\"is_user\":true,\"mes\":\"Ho\"}";
    let chats = read(format!("\u{feff}{}\r\n\r\n", text.replace('\n', "\r\n")).as_bytes(), SPEAKERS).unwrap();
    assert_eq!(String::from_utf8(chats[0].text.clone()).unwrap(), text);
    let old = b"{\"user_name\":\"a\",\"character_name\":\"b\",\"create_date\":\"x\"}\n{\"name\":\"b\",\"mes\":\"Hi\"}";
    assert_eq!(said(old).unwrap(), ["b:Hi"]);
    assert_eq!(said(b"{\"name\":\"b\",\"mes\":\"Hi\"}").unwrap(), ["b:Hi"]);
    let chub =
        b"{\"user_name\":\"a\"}\n{\"name\":\"b\",\"mes\":{\"message\":\"Hi\"},\"swipes\":[{\"message\":\"Hi\"},\"x\"]}";
    assert_eq!(said(chub).unwrap(), ["b:Hi"]);
}

#[rstest]
#[case(b"", "unknown_format")]
#[case(b"hello", "unknown_format")]
#[case(b"<html>", "unknown_format")]
#[case(b"{}", "unknown_format")]
#[case(b"[1]", "unknown_format")]
#[case(b"[]", "nothing_there")]
#[case(b"[{\"mapping\":{}}]", "nothing_there")]
#[case(b"[{\"mapping\":{}}", "damaged")]
#[case(b"{\"a\":1}\n{\"b\":2}", "unknown_format")]
#[case(b"{\"savedsettings\":{}}", "damaged")]
#[case(b"{\"chat_metadata\":{}}", "nothing_there")]
#[case(b"\x89PNG\r\n", "unknown_format")]
fn what_is_no_chat_is_refused(#[case] bytes: &[u8], #[case] code: &str) {
    assert_eq!(read(bytes, SPEAKERS).unwrap_err().code(), code);
}

#[test]
fn bent_trees_end() {
    let circle = json!([{ "current_node": "a", "mapping": {
        "a": { "parent": "b", "message": { "author": { "role": "user" }, "content": { "parts": ["A"] } } },
        "b": { "parent": "a", "message": { "author": { "role": "user" }, "content": { "parts": ["B"] } } },
    } }]);
    assert_eq!(said(circle.to_string().as_bytes()).unwrap(), ["Bob*:B|Bob*:A"]);
    let itself =
        json!({ "conversationId": "c", "messages": [{ "messageId": "1", "parentMessageId": "1", "text": "Hi" }] });
    assert_eq!(said(itself.to_string().as_bytes()).unwrap(), ["Ada:Hi"]);
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(read(deep.as_bytes(), SPEAKERS).is_err());
}

proptest! {
    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), key in "(mapping|chat_messages|messages|histories|data_visible|savedsettings|history|conversations|conversationId|version|type|mes)", value in "(1|\\[\\]|\\[1\\]|\\[null,\\{\\}\\]|\\{\\}|\"x\"|\\{\"a\":\\{\"parent\":1\\}\\})") {
        let _ = read(&bytes, SPEAKERS);
        let _ = read(format!("{{\"{key}\":{value},\"messages\":{value},\"version\":1,\"conversationId\":{value}}}").as_bytes(), SPEAKERS);
        let _ = read(format!("[{{\"{key}\":{value}}}]").as_bytes(), SPEAKERS);
    }
}

#[test]
fn one_object_is_read_up_to_a_size_and_lines_beyond_it() {
    let words = "x".repeat(OBJECT_MAX);
    let object = format!("{{\"data_visible\":[[\"\",\"{words}\"]]}}\n");
    assert_eq!(read(object.as_bytes(), SPEAKERS).unwrap_err().code(), "too_large");
    assert_eq!(read(format!("[{object}]").as_bytes(), SPEAKERS).unwrap_err().code(), "too_large");
    let lines = format!("{{\"user_name\":\"Bob\"}}\n{{\"name\":\"Ada\",\"mes\":\"{words}\"}}");
    assert_eq!(read(lines.as_bytes(), SPEAKERS).unwrap().len(), 1);
}
