//! The machine on a real journal, with a model and a chat that do as they are told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::event::Event;
use super::*;
use crate::models::{Finish, Parameters, Piece};
use crate::store::testing;

/// A house whose model says what a test sends, and whose only chat is a list.
#[derive(Default)]
struct Doll {
    /// One for each time that the model is asked, in order.
    scripts: Mutex<VecDeque<mpsc::UnboundedReceiver<Result<Piece>>>>,
    chat: Mutex<Vec<(GenerationId, Said)>>,
    /// So many times the chat cannot be written to.
    refusals: AtomicUsize,
    asked: AtomicUsize,
}

type Script = mpsc::UnboundedSender<Result<Piece>>;

impl Doll {
    fn script(&self) -> Script {
        let (script, receiver) = mpsc::unbounded_channel();
        lock(&self.scripts).push_back(receiver);
        script
    }

    fn chat(&self) -> Vec<(GenerationId, Said)> {
        lock(&self.chat).clone()
    }
}

impl House for Doll {
    type Plan = ();

    fn begin(&self, id: &GenerationId, order: &Order) -> Result<Begun<()>> {
        let errand = Errand {
            id: id.clone(),
            handle: order.handle.clone(),
            character: order.character.clone(),
            chat: order.chat.clone(),
            integrity: None,
            follows: None,
            kind: order.kind,
            target: None,
            name: "Eva".to_owned(),
            api: "echo".to_owned(),
            model: "echo".to_owned(),
            started: 1,
            client: order.id.clone(),
            remembers: serde_json::Map::new(),
        };
        let version = lock(&self.chat).len().to_string();
        Ok(Begun { errand, line: "echo".to_owned(), plan: (), version, user_message: None, index: Some(0) })
    }

    fn ask(&self, _: Arc<()>) -> Future1<Result<Pieces>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let script = lock(&self.scripts).pop_front();
        Box::pin(async move {
            let script =
                script.ok_or_else(|| Error::new(ErrorKind::Upstream, "model_unreachable", "Nobody is there."))?;
            let pieces = futures_util::stream::unfold(script, |mut script| async move {
                script.recv().await.map(|piece| (piece, script))
            });
            Ok(pieces.boxed() as Pieces)
        })
    }

    fn keep(&self, errand: &Errand, said: &Said, _: bool) -> Result<Kept> {
        if self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Error::storage("save a chat", std::io::ErrorKind::StorageFull.into()));
        }
        let mut chat = lock(&self.chat);
        let index = chat.iter().position(|(id, _)| *id == errand.id).unwrap_or(chat.len());
        if index == chat.len() {
            chat.push((errand.id.clone(), said.clone()));
        }
        Ok(Kept {
            chat: None,
            index,
            version: chat.len().to_string(),
            message: serde_json::json!({ "mes": said.text }),
        })
    }

    fn spent(&self, _: &Errand, (): &(), _: &Said, reported: Option<Usage>) -> Usage {
        reported.unwrap_or_default()
    }

    fn tell(&self, _: &Handle, _: &FileName, _: &FileName, _: Option<&GenerationId>) {}

    fn knows(&self, _: &Handle) -> bool {
        true
    }
}

/// Generations of a doll's house.
struct Scene {
    generations: Arc<Generations<Doll>>,
    store: Arc<Store>,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Rules)) -> Self {
        let (folder, store) = testing::house(&[]);
        let store = Arc::new(store);
        let mut rules = Rules { journal: Duration::from_millis(5), ..Rules::default() };
        change(&mut rules);
        let generations = Generations::new(Arc::new(Doll::default()), Arc::clone(&store), rules);
        Self { generations, store, _folder: folder }
    }

    /// The same house after a sudden end.
    fn after_a_sudden_end(&self) -> Arc<Generations<Doll>> {
        Generations::new(Arc::new(Doll::default()), Arc::clone(&self.store), Rules::default())
    }

    fn house(&self) -> &Doll {
        &self.generations.house
    }

    async fn starts(&self, who: &str, chat: &str) -> Arc<Generation> {
        let started = self.generations.start(order(who, chat)).await.unwrap();
        self.generations.get(&handle(who), &started.id).unwrap()
    }
}

fn handle(name: &str) -> Handle {
    Handle::parse(name).unwrap()
}

fn order(who: &str, chat: &str) -> Order {
    Order {
        handle: handle(who),
        character: FileName::parse("Eva").unwrap(),
        chat: FileName::parse(chat).unwrap(),
        version: None,
        kind: Kind::Reply,
        text: None,
        images: Vec::new(),
        id: None,
        persona: None,
        connection: None,
        model: None,
        parameters: Parameters::default(),
        instruction: None,
    }
}

fn text(script: &Script, words: &str) {
    script.send(Ok(Piece::Text(words.to_owned()))).unwrap();
}

fn end(script: &Script) {
    script.send(Ok(Piece::End(Finish::Stop))).unwrap();
}

/// Waits for a generation's end, and says what it was.
async fn end_of(generation: &Generation) -> Event {
    let (mut at, mut progress) = (0, generation.progress());
    loop {
        while let Some(next) = generation.after(at) {
            at = next.id;
            if next.event.is_last() {
                return next.event;
            }
        }
        tokio::time::timeout(Duration::from_secs(10), progress.changed()).await.expect("it never ends").unwrap();
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it took too long until {what}");
}

#[tokio::test]
async fn a_reply_is_kept_though_nobody_listens() {
    let scene = Scene::new();
    let script = scene.house().script();
    let generation = scene.starts("ada", "one").await;
    script.send(Ok(Piece::Reasoning("hm".to_owned()))).unwrap();
    text(&script, "Good ");
    text(&script, "evening.");
    script.send(Ok(Piece::Usage(Usage { prompt: 5, completion: 2 }))).unwrap();
    end(&script);
    let Event::Done(done) = end_of(&generation).await else { panic!("it failed") };
    assert_eq!((done.finish, done.index, done.usage.unwrap().completion), ("stop", Some(0), 2));
    let chat = scene.house().chat();
    assert_eq!((chat.len(), chat[0].1.text.as_str(), chat[0].1.reasoning.as_str()), (1, "Good evening.", "hm"));
    assert!(!chat[0].1.unfinished && chat[0].1.thought.is_some());
    until("the journal is gone", || scene.generations.journals.list().unwrap().is_empty()).await;
    until("the chat is free", || scene.generations.count() == 0).await;
}

#[tokio::test]
async fn one_reply_at_a_time_in_a_chat_and_so_many_for_a_person() {
    let scene = Scene::with(|rules| rules.per_user = 2);
    let scripts: Vec<Script> = (0..4).map(|_| scene.house().script()).collect();
    let first = scene.starts("ada", "one").await;
    let busy = scene.generations.start(order("ada", "one")).await.unwrap_err();
    assert_eq!((busy.code(), busy.details().unwrap()["generation"].as_str()), ("busy_chat", Some(first.id.as_str())));
    scene.starts("ada", "two").await;
    assert_eq!(scene.generations.start(order("ada", "three")).await.unwrap_err().code(), "too_many");
    scene.starts("bob", "one").await;
    assert_eq!(scene.generations.list(&handle("ada")).len(), 2);
    assert!(scene.generations.get(&handle("bob"), &first.id).is_err());
    end(&scripts[0]);
    end_of(&first).await;
    until("there is room", || scene.generations.count() == 2).await;
    scene.starts("ada", "one").await;
}

#[tokio::test]
async fn the_same_request_again_is_the_same_generation() {
    let scene = Scene::new();
    let _script = scene.house().script();
    let order = Order { id: Some("a1".to_owned()), ..order("ada", "one") };
    let first = scene.generations.start(order.clone()).await.unwrap();
    let again = scene.generations.start(order.clone()).await.unwrap();
    assert_eq!((&first.id, &first.version), (&again.id, &again.version));
    let other = Order { chat: FileName::parse("two").unwrap(), ..order };
    let _other = scene.house().script();
    assert_ne!(scene.generations.start(other).await.unwrap().id, first.id);
}

#[tokio::test]
async fn stopping_keeps_what_came() {
    let scene = Scene::new();
    let script = scene.house().script();
    let generation = scene.starts("ada", "one").await;
    text(&script, "Good ev");
    until("words came", || generation.words().1 == "Good ev").await;
    scene.generations.stop(&handle("ada"), &generation.id).unwrap();
    let Event::Done(done) = end_of(&generation).await else { panic!("it failed") };
    assert_eq!(done.finish, "stopped");
    assert!(script.is_closed(), "the model goes on");
    let chat = scene.house().chat();
    assert_eq!((chat[0].1.text.as_str(), chat[0].1.unfinished), ("Good ev", false));
}

#[tokio::test]
async fn a_model_that_ends_before_its_time_leaves_its_part() {
    for (last, code) in [
        (Some(Error::new(ErrorKind::Upstream, "model_error", "It fell over.")), "model_error"),
        (None, "model_cut_off"),
    ] {
        let scene = Scene::new();
        let script = scene.house().script();
        let generation = scene.starts("ada", "one").await;
        text(&script, "Good ev");
        if let Some(error) = last {
            script.send(Err(error)).unwrap();
        }
        drop(script);
        let Event::Failed(failed) = end_of(&generation).await else { panic!("it did not fail") };
        assert_eq!((failed.code, failed.kept, failed.index), (code, true, Some(0)));
        let said = &scene.house().chat()[0].1;
        assert!(said.unfinished && said.text == "Good ev" && said.error.is_some());
    }
}

#[tokio::test]
async fn a_model_without_a_word_adds_nothing() {
    let scene = Scene::with(|rules| rules.silence = Duration::from_millis(50));
    let script = scene.house().script();
    let generation = scene.starts("ada", "one").await;
    end(&script);
    assert!(matches!(end_of(&generation).await, Event::Failed(failed) if failed.code == "empty_reply" && !failed.kept));
    // There is no second script: nobody answers.
    let generation = scene.starts("ada", "two").await;
    assert!(matches!(end_of(&generation).await, Event::Failed(failed) if failed.code == "model_unreachable"));
    let script = scene.house().script();
    let generation = scene.starts("ada", "three").await;
    text(&script, "x");
    assert!(matches!(end_of(&generation).await, Event::Failed(failed) if failed.code == "model_silent" && failed.kept));
    assert_eq!(scene.house().chat().len(), 1);
    until("all journals are gone", || scene.generations.journals.list().unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_reply_longer_than_any_is_cut_and_kept() {
    let scene = Scene::new();
    let script = scene.house().script();
    let generation = scene.starts("ada", "one").await;
    let megabyte = "x".repeat(1 << 20);
    while script.send(Ok(Piece::Text(megabyte.clone()))).is_ok() && generation.is_running() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(
        matches!(end_of(&generation).await, Event::Failed(failed) if failed.code == "reply_too_long" && failed.kept)
    );
    assert_eq!(scene.house().chat()[0].1.text.len(), 4 << 20);
}

#[tokio::test]
async fn after_a_sudden_end_the_part_is_there_once() {
    let scene = Scene::new();
    let script = scene.house().script();
    let generation = scene.starts("ada", "one").await;
    let _silent = scene.house().script();
    scene.starts("ada", "two").await;
    for piece in ["Good ", "ev", "ening"] {
        text(&script, piece);
        let so_far = generation.words().1.len() + piece.len();
        until("it is noted down", || match scene.generations.journals.read(&generation.id).unwrap() {
            journal::Found::Whole(_, said) => said.text.len() >= so_far,
            journal::Found::Damaged => false,
        })
        .await;
    }
    let next = scene.after_a_sudden_end();
    // The disk refuses at first; and whoever recovers may be interrupted after the chat was written.
    next.house.refusals.store(1, Ordering::SeqCst);
    assert_eq!(next.recover().unwrap(), 0);
    assert_eq!(next.house.chat().len(), 0);
    next.settle_left();
    assert_eq!(next.recover().unwrap(), 0);
    let chat = next.house.chat();
    assert_eq!((chat.len(), chat[0].1.text.as_str(), chat[0].1.unfinished), (1, "Good evening", true));
    assert_eq!(chat[0].0, generation.id);
    assert!(next.journals.list().unwrap().is_empty());
}

#[tokio::test]
async fn a_torn_journal_gives_what_is_whole_in_it() {
    let scene = Scene::new();
    let _script = scene.house().script();
    let generation = scene.starts("ada", "one").await;
    scene.generations.journals.add(&generation.id, "Good ", "").unwrap();
    let path = scene.store.root().join(format!("_system/generations/{}.jsonl", generation.id));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"\n{\"text\":\"eve");
    std::fs::write(&path, &bytes).unwrap();
    scene.generations.journals.add(&generation.id, "ning", "hm").unwrap();
    let journal::Found::Whole(errand, said) = scene.generations.journals.read(&generation.id).unwrap() else {
        panic!()
    };
    assert_eq!(
        (errand.id.clone(), said.text.as_str(), said.reasoning.as_str()),
        (generation.id.clone(), "Good ning", "hm")
    );
    std::fs::write(&path, "{\"id\":").unwrap();
    let next = scene.after_a_sudden_end();
    assert_eq!(next.recover().unwrap(), 0);
    assert!(path.with_extension("damaged").exists() && !path.exists());
}

#[tokio::test]
async fn a_disk_that_refuses_gets_the_reply_later() {
    let scene = Scene::new();
    scene.house().refusals.store(3, Ordering::SeqCst);
    let script = scene.house().script();
    let generation = scene.starts("ada", "one").await;
    text(&script, "Good evening.");
    end(&script);
    let Event::Failed(failed) = end_of(&generation).await else { panic!("it did not fail") };
    assert_eq!((failed.code, failed.kept), ("storage", false));
    assert!(failed.message.contains("disk is full"), "{}", failed.message);
    // Whether this server tries again or the next one: it is finished, and there once.
    let journal::Found::Whole(_, said) = scene.generations.journals.read(&generation.id).unwrap() else { panic!() };
    assert!(!said.unfinished && said.text == "Good evening.");
    scene.generations.settle_left();
    scene.generations.settle_left();
    assert_eq!(scene.house().chat().len(), 1);
    assert!(scene.generations.journals.list().unwrap().is_empty());
}

#[tokio::test]
async fn people_take_turns_before_a_connection() {
    let scene = Scene::with(|rules| rules.per_connection = 1);
    let scripts: Vec<Script> = (0..4).map(|_| scene.house().script()).collect();
    let first = scene.starts("ada", "one").await;
    let second = scene.starts("ada", "two").await;
    let third = scene.starts("ada", "three").await;
    let bobs = scene.starts("bob", "one").await;
    let place = |generation: &Generation| {
        let events = std::iter::successors(generation.after(0), |next| generation.after(next.id));
        events.filter_map(|next| if let Event::Queued(place) = next.event { Some(place) } else { None }).last()
    };
    until("they wait", || (place(&second), place(&bobs), place(&third)) == (Some(1), Some(2), Some(3))).await;
    assert_eq!(scene.house().asked.load(Ordering::SeqCst), 1);
    let mut order = Vec::new();
    for (n, waiting) in [&first, &second, &bobs, &third].into_iter().enumerate() {
        text(&scripts[n], "x");
        end(&scripts[n]);
        end_of(waiting).await;
        order.push(place(waiting));
    }
    assert_eq!(order, [None, Some(0), Some(0), Some(0)]);
}

#[tokio::test]
async fn whoever_gives_up_in_the_line_leaves_it() {
    let scene = Scene::with(|rules| rules.per_connection = 1);
    let script = scene.house().script();
    let first = scene.starts("ada", "one").await;
    let second = scene.starts("bob", "one").await;
    scene.generations.stop(&handle("bob"), &second.id).unwrap();
    assert!(matches!(end_of(&second).await, Event::Done(done) if done.finish == "stopped" && done.index.is_none()));
    end(&script);
    end_of(&first).await;
    assert_eq!(scene.house().asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn closing_lets_replies_end_and_keeps_the_parts_of_those_that_do_not() {
    let scene = Scene::new();
    let (quick, slow) = (scene.house().script(), scene.house().script());
    let first = scene.starts("ada", "one").await;
    let second = scene.starts("ada", "two").await;
    text(&quick, "All of it");
    text(&slow, "A part");
    until("words came", || second.words().1 == "A part").await;
    let closing = scene.generations.clone();
    let closed = tokio::spawn(async move { closing.close(Duration::from_millis(300)).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(scene.generations.start(order("ada", "three")).await.unwrap_err().code(), "closing");
    end(&quick);
    closed.await.unwrap();
    assert!(!first.is_running() && !second.is_running());
    let chat = scene.house().chat();
    let of = |id: &GenerationId| chat.iter().find(|(kept, _)| kept == id).map(|(_, said)| said.clone()).unwrap();
    assert!(!of(&first.id).unfinished);
    assert!(of(&second.id).unfinished && of(&second.id).text == "A part");
}

#[tokio::test]
async fn whoever_is_gone_leaves_nothing_behind() {
    let scene = Scene::new();
    let script = scene.house().script();
    let generation = scene.starts("ada", "one").await;
    text(&script, "A part");
    until("words came", || generation.words().1 == "A part").await;
    scene.generations.forget(&handle("ada"));
    end_of(&generation).await;
    assert!(scene.house().chat().is_empty());
    until("the journal is gone", || scene.generations.journals.list().unwrap().is_empty()).await;
}

#[tokio::test]
async fn what_is_said_for_somebody_is_written_nowhere() {
    let scene = Scene::new();
    let script = scene.house().script();
    let order = Order { kind: Kind::Impersonate, ..order("ada", "one") };
    let started = scene.generations.start(order).await.unwrap();
    let generation = scene.generations.get(&handle("ada"), &started.id).unwrap();
    text(&script, " I look around. ");
    assert!(scene.generations.journals.list().unwrap().is_empty());
    end(&script);
    assert!(matches!(end_of(&generation).await, Event::Done(done) if done.text.as_deref() == Some("I look around.")));
    assert!(scene.house().chat().is_empty());
}

/// Whatever step of the disk fails, before the answer or after it: what the answer promised holds.
#[tokio::test]
async fn every_step_of_a_journal_may_fail() {
    for n in 1..14 {
        let (folder, _) = testing::house(&[]);
        let store = Arc::new(testing::open(folder.path(), Some(testing::failing(n, true))));
        let rules = Rules { journal: Duration::from_millis(2), ..Rules::default() };
        let generations = Generations::new(Arc::new(Doll::default()), store, rules);
        let script = generations.house.script();
        let Ok(started) = generations.start(order("ada", "one")).await else {
            assert_eq!(
                generations.house.asked.load(Ordering::SeqCst),
                0,
                "the model was asked for what cannot be kept"
            );
            assert_eq!(generations.count(), 0);
            continue;
        };
        let generation = generations.get(&handle("ada"), &started.id).unwrap();
        text(&script, "Good ");
        tokio::time::sleep(Duration::from_millis(10)).await;
        text(&script, "evening.");
        end(&script);
        assert!(matches!(end_of(&generation).await, Event::Done(_)), "step {n}");
        let next = Generations::new(
            Arc::clone(&generations.house),
            Arc::new(testing::open(folder.path(), None)),
            Rules::default(),
        );
        next.recover().unwrap();
        let chat = generations.house.chat();
        assert_eq!((chat.len(), chat[0].1.text.as_str()), (1, "Good evening."), "step {n}");
        assert!(next.journals.list().unwrap().is_empty(), "step {n}");
    }
}
