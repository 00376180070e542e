//! The model that is built in: it repeats what it hears, so that everything can be tried without a model server. It says
//! so, and asks nobody.

use std::time::Duration;

use futures_util::stream::unfold;

use super::{Ask, Finish, Message, ModelInfo, Piece, Pieces, Role, Usage, tokens};

/// Between two words.
const PAUSE: Duration = Duration::from_millis(25);

/// What it begins with, so that nobody takes it for more than it is.
const LABEL: &str = "(Echo, no real model)";

/// Its one model.
pub(super) fn models() -> Vec<ModelInfo> {
    vec![ModelInfo { id: "echo".to_owned(), name: Some("Echo (repeats what you say)".to_owned()), context: None }]
}

/// Repeats the last thing that was said, word by word.
pub(super) fn ask(ask: &Ask) -> Pieces {
    let heard = ask.messages.iter().rfind(|message| message.role == Role::User).map(Message::words);
    let heard = heard.filter(|heard| !heard.trim().is_empty()).unwrap_or_else(|| "I heard nothing.".to_owned());
    let answer = format!("{LABEL} {heard}");
    let mut words: Vec<String> = answer.split_inclusive(char::is_whitespace).map(str::to_owned).collect();
    let longest = ask.parameters.max_tokens.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let finish = if words.len() > longest { Finish::Length } else { Finish::Stop };
    words.truncate(longest);
    let count = |text: &str| u64::try_from(tokens::count("echo", text).tokens).unwrap_or(u64::MAX);
    let usage = Usage {
        prompt: ask.messages.iter().map(|message| count(&message.words())).sum(),
        completion: count(&words.concat()),
    };
    let mut pieces: Vec<Piece> = words.into_iter().map(Piece::Text).collect();
    pieces.extend([Piece::Usage(usage), Piece::End(finish)]);
    Box::pin(unfold(pieces.into_iter(), |mut left| async move {
        let piece = left.next()?;
        if matches!(piece, Piece::Text(_)) {
            tokio::time::sleep(PAUSE).await;
        }
        Some((Ok(piece), left))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    async fn told(ask_of: &Ask) -> Vec<Piece> {
        ask(ask_of).map(|piece| piece.unwrap()).collect().await
    }

    fn asked(text: &str) -> Ask {
        let messages = vec![Message::text(Role::User, text), Message::text(Role::Assistant, "not this")];
        Ask { model: "echo".into(), messages, parameters: super::super::Parameters::default() }
    }

    #[tokio::test]
    async fn repeats_word_by_word_and_says_what_it_is() {
        let pieces = told(&asked("Hello  there\nfriend")).await;
        let text: String = pieces
            .iter()
            .filter_map(|piece| if let Piece::Text(text) = piece { Some(text.as_str()) } else { None })
            .collect();
        assert_eq!(text, "(Echo, no real model) Hello  there\nfriend");
        assert!(pieces.len() > 7);
        assert_eq!(pieces.last(), Some(&Piece::End(Finish::Stop)));
    }

    #[tokio::test]
    async fn keeps_to_the_longest_answer() {
        let mut ask = asked("one two three");
        ask.parameters.max_tokens = Some(5);
        let pieces = told(&ask).await;
        assert_eq!(pieces.len(), 7);
        assert_eq!(pieces.last(), Some(&Piece::End(Finish::Length)));
    }

    #[tokio::test]
    async fn says_something_where_nothing_was_said() {
        let pieces = told(&asked(" ")).await;
        assert!(pieces.contains(&Piece::Text("nothing.".into())));
    }
}
