//! A reply under way as markup, for whoever looks. Made beside the way of the words, so that no word waits for it; a dozen
//! times a second at most, and only while somebody looks.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};

use super::live::Generation;
use crate::blocking::blocking;
use crate::mutex::lock;
use crate::render::Incremental;

/// Between two looks of the same reply.
const PAUSE: Duration = Duration::from_millis(85);
/// Longer markup is made less often, so that no more than this is sent in a second, in bytes.
const A_SECOND: usize = 400_000;
/// Replies that are rendered at the same moment.
static RENDERERS: Semaphore = Semaphore::const_new(2);

/// A reply under way as markup.
pub struct Shown {
    /// What the message had before.
    before: String,
    latest: watch::Sender<Arc<str>>,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    by: usize,
    /// Whether somebody renders.
    running: bool,
}

/// Somebody who looks, until dropped.
pub struct Watcher {
    generation: Arc<Generation>,
    latest: watch::Receiver<Arc<str>>,
}

impl Shown {
    /// A reply that goes on from `before`.
    pub(super) fn after(before: String) -> Self {
        Self { before, latest: watch::channel(Arc::from("")).0, watched: Mutex::default() }
    }

    /// Whether the one who renders is to go on; if not, they are taken to have left.
    fn is_watched(&self) -> bool {
        let mut watched = lock(&self.watched);
        watched.running = watched.by > 0;
        watched.running
    }
}

impl Watcher {
    /// Looks at a reply from now on.
    pub fn of(generation: &Arc<Generation>) -> Self {
        let shown = &generation.shown;
        let mut latest = shown.latest.subscribe();
        if !latest.borrow().is_empty() {
            latest.mark_changed();
        }
        let is_first = {
            let mut watched = lock(&shown.watched);
            watched.by += 1;
            !std::mem::replace(&mut watched.running, true)
        };
        if is_first {
            tokio::spawn(render(Arc::clone(generation)));
        }
        Self { generation: Arc::clone(generation), latest }
    }

    /// The next look at it. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Arc<str>> {
        self.latest.changed().await.ok()?;
        Some(Arc::clone(&self.latest.borrow_and_update()))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        lock(&self.generation.shown.watched).by -= 1;
    }
}

/// Renders a reply until it is over or nobody looks.
async fn render(generation: Arc<Generation>) {
    let mut progress = generation.progress();
    let mut text = Incremental::default();
    text.push(&generation.shown.before);
    let mut taken = 0;
    loop {
        if !generation.shown.is_watched() {
            return;
        }
        progress.mark_unchanged();
        let more = generation.said_from(taken, usize::MAX).0;
        let mut rest = PAUSE;
        if !more.is_empty() {
            taken += more.len();
            text.push(&more);
            let started = Instant::now();
            let Ok(_room) = RENDERERS.acquire().await else { return };
            let rendered = blocking(move || {
                let html = text.html();
                Ok((text, html))
            });
            let Ok((back, html)) = rendered.await else { return };
            text = back;
            rest = rest.max(started.elapsed() * 3).max(Duration::from_millis((html.len() * 1000 / A_SECOND) as u64));
            generation.shown.latest.send_replace(Arc::from(html));
        }
        if !generation.is_running() {
            return;
        }
        tokio::time::sleep(rest).await;
        // A reply that says nothing more is left alone; whoever left meanwhile shows at the next word.
        if progress.changed().await.is_err() {
            return;
        }
    }
}
