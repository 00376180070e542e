use super::*;
use crate::store::opening::Opening;

struct Log {
    dir: tempfile::TempDir,
    events: Events,
}

fn log() -> Log {
    let dir = tempfile::tempdir().unwrap();
    let events = open(&dir);
    Log { dir, events }
}

fn open(dir: &tempfile::TempDir) -> Events {
    let (store, opened) = Store::open(&dir.path().join("data"), Opening { serve: true, ..Opening::default() }).unwrap();
    if opened != store::Opened::Ours {
        store.finish_opening().unwrap();
    }
    Events::new(Arc::new(store), Some(dir.path().join("head")))
}

fn write(log: &Log, n: usize) {
    for i in 0..n {
        log.events.record(Event::new(What::SignedIn, &Origin::default()).with("n", i));
    }
}

/// The one month's file of a fresh log.
fn file(log: &Log) -> std::path::PathBuf {
    let folder = log.dir.path().join("data/_system/events");
    let name = log.events.months().unwrap().pop().unwrap();
    folder.join(name.as_str())
}

fn change(log: &Log, change: impl FnOnce(Vec<String>) -> Vec<String>) {
    let text = std::fs::read_to_string(file(log)).unwrap();
    let lines = change(text.lines().map(str::to_owned).collect());
    std::fs::write(file(log), lines.join("\n") + "\n").unwrap();
}

fn fault(log: &Log) -> String {
    log.events.verify().unwrap().first_fault.expect("the change must be found")
}

#[test]
fn an_untouched_log_verifies_and_is_read_newest_first() {
    let log = log();
    write(&log, 5);
    let report = log.events.verify().unwrap();
    assert_eq!((report.lines, report.first_fault), (5, None));
    let (page, more) = log.events.page(None, 2).unwrap();
    assert_eq!(page.iter().map(|line| line.seq).collect::<Vec<_>>(), [5, 4]);
    assert!(more);
    let (page, more) = log.events.page(Some(4), 10).unwrap();
    assert_eq!(page.len(), 3);
    assert!(!more);
}

#[test]
fn edit_cut_swap_and_insert_are_found() {
    for (what, edit) in [
        (
            "line 3 does not follow",
            Box::new(|mut l: Vec<String>| {
                l[1] = l[1].replace("\"n\":1", "\"n\":7");
                l
            }) as Box<dyn FnOnce(Vec<String>) -> Vec<String>>,
        ),
        (
            "line 2 has number",
            Box::new(|mut l| {
                l.remove(1);
                l
            }),
        ),
        (
            "line 2 has number",
            Box::new(|mut l| {
                l.swap(1, 2);
                l
            }),
        ),
        (
            "line 3 has number",
            Box::new(|mut l| {
                let copy = l[1].clone();
                l.insert(2, copy);
                l
            }),
        ),
        ("line 1 has number", Box::new(|mut l| l.split_off(2))),
        (
            "line 2 is not readable",
            Box::new(|mut l| {
                l[1] = "garbage".into();
                l
            }),
        ),
        // Only the head noted outside the folder can tell these two.
        (
            "cut or written anew",
            Box::new(|mut l| {
                l.pop();
                l
            }),
        ),
        ("cut or written anew", Box::new(|_| Vec::new())),
    ] {
        let log = log();
        write(&log, 5);
        change(&log, edit);
        let fault = fault(&log);
        assert!(fault.contains(what), "expected {what:?}, got {fault:?}");
    }
}

#[test]
fn the_chain_goes_on_after_a_restart_and_beside_another_process() {
    let log = log();
    write(&log, 2);
    let dir = log.dir;
    drop(log.events);
    let one = open(&dir);
    let (beside, _) = Store::open(&dir.path().join("data"), Opening::default()).unwrap();
    let two = Events::new(Arc::new(beside), Some(dir.path().join("head")));
    for _ in 0..3 {
        one.record(Event::new(What::Started, &Origin::default()));
        two.record(Event::new(What::RecoveredByHost, &Origin::default()));
    }
    let report = one.verify().unwrap();
    assert_eq!((report.lines, report.first_fault), (8, None));
}

#[test]
fn a_torn_last_line_is_set_aside() {
    use std::io::Write;
    let log = log();
    write(&log, 2);
    std::fs::OpenOptions::new().append(true).open(file(&log)).unwrap().write_all(b"{\"seq\":3,\"ti").unwrap();
    let dir = log.dir;
    drop(log.events);
    let events = open(&dir);
    events.record(Event::new(What::Started, &Origin::default()));
    let report = events.verify().unwrap();
    assert_eq!((report.lines, report.first_fault), (3, None));
    let torn = std::fs::read_dir(dir.path().join("data/_system/events")).unwrap();
    assert!(torn.map(|e| e.unwrap().file_name().into_string().unwrap()).any(|name| name.contains(".torn-")));
}

#[test]
fn events_that_the_disk_refuses_are_written_later() {
    let dir = tempfile::tempdir().unwrap();
    let faults = crate::store::Faults::at(0, std::io::ErrorKind::StorageFull, true);
    let opening = Opening { serve: true, faults: Some(faults.clone()), ..Opening::default() };
    let (store, _) = Store::open(dir.path(), opening).unwrap();
    let events = Events::new(Arc::new(store), None);
    events.record(Event::new(What::Started, &Origin::default()));
    faults.rearm(1);
    events.record(Event::new(What::SignedIn, &Origin::default()));
    events.record(Event::new(What::SignedOut, &Origin::default()));
    faults.rearm(0);
    events.record(Event::new(What::UserCreated, &Origin::default()));
    let (page, _) = events.page(None, 10).unwrap();
    let names: Vec<_> = page.iter().rev().map(|line| line.event.as_str()).collect();
    assert_eq!(names, ["server_started", "login_event", "logout_event", "user_created"]);
    assert_eq!(events.verify().unwrap().first_fault, None);
}

#[test]
fn the_chain_goes_on_after_a_month_that_began_with_a_full_disk() {
    let log = log();
    write(&log, 3);
    // What is left of a first line that could not be written.
    let (file, Log { dir, events }) = (file(&log), log);
    drop(events);
    std::fs::rename(&file, file.with_file_name("2000-01.jsonl")).unwrap();
    std::fs::write(&file, "").unwrap();
    let again = Log { events: open(&dir), dir };
    again.events.record(Event::new(What::SignedIn, &Origin::default()));
    let report = again.events.verify().unwrap();
    assert_eq!((report.lines, report.first_fault), (4, None));
}
