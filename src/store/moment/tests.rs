use std::fs;
use std::io::Read;

use super::*;
use crate::store::testing::{ada, house, put};
use crate::store::{Expect, FileName, Writer};

fn read(moment: &Moment, path: &str) -> Result<String> {
    let index = moment.files.iter().position(|file| file.path.as_str() == path).unwrap();
    let mut text = String::new();
    let file = moment.open(index)?;
    file.take(moment.files[index].size).read_to_string(&mut text).unwrap();
    Ok(text)
}

fn writing(store: &Store, work: impl FnOnce(&Writer<'_>) -> Result<()>) {
    store.writing(&Owner::User(ada()), work).unwrap();
}

fn place(path: &str) -> Place {
    Place::of(&ada()).below(&RelPath::parse(path).unwrap())
}

#[test]
fn what_is_replaced_removed_renamed_or_appended_to_is_read_as_it_was() {
    let names = ["settings.json", "chats/gone", "chats/aside", "chats/longer", "chats/same"];
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, b"old".as_slice())).collect();
    let (_root, store) = house(&files);
    let moment = store.moment(&ada()).unwrap();
    writing(&store, |writer| {
        writer.write(&place("settings.json"), b"new", Expect::Anything)?;
        writer.write(&place("settings.json"), b"newer", Expect::Anything)?;
        writer.remove(&place("chats/gone"))?;
        writer.create(&place("chats/gone"), b"another")?;
        writer.set_aside(&place("chats/aside"), &FileName::parse("elsewhere").unwrap())?;
        writer.append(&place("chats/longer"), b" and more")?;
        writer.create(&place("chats/new"), b"new")
    });
    for name in names {
        assert_eq!(read(&moment, name).unwrap(), "old", "{name}");
    }
    assert!(moment.files.iter().all(|file| file.path.as_str() != "chats/new"));
}

#[test]
fn what_was_streamed_is_not_kept() {
    let (_root, store) = house(&[("settings.json", b"old")]);
    let moment = store.moment(&ada()).unwrap();
    read(&moment, "settings.json").unwrap();
    writing(&store, |writer| writer.write(&place("settings.json"), b"new", Expect::Anything));
    assert!(lock(&moment.state).kept.is_empty());
    assert_eq!(read(&moment, "settings.json").unwrap_err().code(), "moment_lost");
}

#[test]
fn nothing_is_kept_once_nobody_reads() {
    let (_root, store) = house(&[("settings.json", b"old")]);
    drop(store.moment(&ada()).unwrap());
    assert_eq!(store.moments.live.load(Ordering::SeqCst), 0);
    assert!(store.moments.live().is_empty());
}

#[test]
fn a_change_from_outside_is_told_and_not_hidden() {
    for change in [b"longer than it was".as_slice(), b"x"] {
        let (root, store) = house(&[("settings.json", b"old"), ("chats/a", b"a")]);
        let moment = store.moment(&ada()).unwrap();
        let settings = root.path().join("ada/settings.json");
        fs::remove_file(&settings).unwrap();
        put(&settings, change);
        // The first writer that comes along notices; from then on the moment is lost as a whole.
        writing(&store, |writer| writer.remove(&place("settings.json")));
        assert_eq!(read(&moment, "chats/a").unwrap_err().code(), "moment_lost");
    }
}

#[test]
fn links_pipes_caches_and_our_own_files_are_left_out() {
    let (root, store) = house(&[
        ("thumbnails/bg/a.png", b"x"),
        ("trash/0123/record.json", b"x"),
        (".tavernkeep-1.tmp", b"x"),
        ("tavernkeep-manifest.json", b"x"),
        ("chats/a\nb", b"x"),
        ("chats/good", b"x"),
    ]);
    let user = root.path().join("ada");
    std::os::unix::fs::symlink("/etc/passwd", user.join("chats/link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(user.join("socket")).unwrap();
    let moment = store.moment(&ada()).unwrap();
    let files: Vec<&str> = moment.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(files, ["chats/good"]);
    let mut skipped: Vec<&str> = moment.skipped.iter().map(|skipped| skipped.path.as_str()).collect();
    skipped.sort_unstable();
    assert_eq!(skipped, ["chats/a\nb", "chats/link", "socket", "tavernkeep-manifest.json"]);
    assert!(moment.folders.contains(&RelPath::parse("thumbnails/bg").unwrap()));
}

#[test]
fn a_user_without_a_folder_has_no_moment() {
    let (_root, store) = house(&[]);
    assert!(store.moment(&Handle::parse("nobody").unwrap()).err().unwrap().is_not_found());
}
