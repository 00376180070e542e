//! What people have: settings as SillyTavern's client sends them, and a folder with years of pictures and chats.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

/// Bytes of a grown settings file.
const SETTINGS: usize = 45_000;

/// Settings in the client's shape: many switches and numbers, prompts as long strings, and tags of every character.
pub fn settings() -> Result<Vec<u8>> {
    let switches = |name: &str, count: u32| -> Value {
        (0..count)
            .map(|n| {
                let value = match n % 4 {
                    0 => json!(n % 8 == 0),
                    1 => json!(f64::from(n) / 20.0),
                    2 => json!(format!("{name} {n}")),
                    _ => json!(n),
                };
                (format!("{name}_{n:03}"), value)
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let prompt =
        "Write the next reply of {{char}} in a \"fictional\" chat with {{user}}.\nStay in character — always.\n";
    let prompts: Vec<Value> = (0..12)
        .map(|n| {
            json!({ "identifier": format!("prompt-{n}"), "name": format!("Prompt {n}"), "role": "system",
                "content": prompt.repeat(8), "system_prompt": true, "marker": false, "injection_depth": 4 })
        })
        .collect();
    let mut settings = json!({
        "firstRun": false, "currentVersion": "1.19.0", "username": "User", "active_character": "Seraphina.png",
        "active_group": null, "user_avatar": "user-default.png", "amount_gen": 350, "max_context": 8192,
        "main_api": "openai", "textgenerationwebui_settings": switches("sampler", 90), "power_user": switches("power", 220),
        "extension_settings": { "regex": switches("regex", 40), "memory": switches("memory", 30) },
        "oai_settings": { "temp_openai": 1.05, "prompts": prompts, "samplers": switches("oai", 60) },
        "tags": (0..40).map(|n| json!({ "id": format!("tag-{n}"), "name": format!("Tag {n}"), "color": "" })).collect::<Value>(),
        "tag_map": {}, "proxies": [{ "name": "None", "url": "", "password": "" }], "selected_proxy": 0,
    });
    for n in 0.. {
        if serde_json::to_vec(&settings)?.len() >= SETTINGS {
            break;
        }
        settings["tag_map"][format!("Character number {n}.png")] =
            json!([format!("tag-{}", n % 40), format!("tag-{}", n * 7 % 40)]);
    }
    Ok(serde_json::to_vec(&settings)?)
}

/// Bytes of pictures: what cannot be made smaller, and is stored.
pub const PICTURES: u64 = 2 << 30;
/// Chats, and messages in each: about 20 MB in all, compressed on their way.
const CHATS: u32 = 200;
const MESSAGES: u32 = 250;

/// Fills a user's folder with 2 GiB, most of it pictures of 1 to 4 MiB.
pub fn fill(user: &Path) -> Result<()> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let characters = user.join("characters");
    fs::create_dir_all(&characters)?;
    let (mut left, mut n) = (PICTURES, 0);
    while left > 0 {
        let size = ((1 << 20) + random.next() % (3 << 20)).min(left);
        let mut file = fs::File::create(characters.join(format!("Character {n}.png")))?;
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        bytes.extend((0..size / 8).flat_map(|_| random.next().to_le_bytes()));
        bytes.truncate(size as usize);
        file.write_all(&bytes)?;
        left -= size;
        n += 1;
    }
    for chat in 0..CHATS {
        let folder = user.join("chats").join(format!("Character {}", chat % 50));
        fs::create_dir_all(&folder)?;
        let mut text = String::new();
        for message in 0..MESSAGES {
            let words: String = (0..60).map(|_| format!("word{} ", random.next() % 3000)).collect();
            text +=
                &json!({ "name": "User", "is_user": message % 2 == 0, "send_date": message, "mes": words }).to_string();
            text.push('\n');
        }
        fs::write(folder.join(format!("Chat {chat}.jsonl")), text)?;
    }
    Ok(())
}

/// Bytes that look random, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}
