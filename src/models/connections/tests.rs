use super::draft::URL_MAX;
use super::*;
use crate::access::{Actor, Role};
use crate::events::Origin;
use crate::store::RelPath;
use crate::store::testing;

struct House {
    dir: tempfile::TempDir,
    beside: tempfile::TempDir,
    connections: Connections,
}

fn house() -> House {
    let (dir, store) = testing::house(&[]);
    let beside = tempfile::tempdir().unwrap();
    let store = Arc::new(store);
    let events = Arc::new(Events::new(Arc::clone(&store), None));
    let vault = Vault::new(Arc::clone(&store), Some(beside.path().join("key")));
    House { dir, beside, connections: Connections::new(store, events, vault) }
}

impl House {
    /// Does `work` as somebody in this role.
    fn by<T>(&self, handle: &str, role: Role, work: impl FnOnce(&Connections, By<'_>, &Handle) -> T) -> T {
        let handle = Handle::parse(handle).unwrap();
        let origin = Origin { actor: Some(handle.clone()), address: None };
        work(&self.connections, By::Person(Actor { handle: &handle, role }, &origin), &handle)
    }

    fn make(&self, handle: &str, name: &str) -> Connection {
        let key = Key::parse("sk-CANARY").unwrap();
        self.by(handle, Role::User, |connections, by, handle| {
            connections.create(by, &Holder::User(handle.clone()), draft(name), Some(&key)).unwrap()
        })
    }

    fn make_for_house(&self, name: &str) -> Connection {
        self.by("root", Role::Admin, |connections, by, _| {
            connections.create(by, &Holder::House, draft(name), None).unwrap()
        })
    }
}

fn draft(name: &str) -> Draft {
    serde_json::from_value(serde_json::json!({ "name": name, "kind": "openai", "model": "gpt-5" })).unwrap()
}

fn user(handle: &str) -> Handle {
    Handle::parse(handle).unwrap()
}

#[test]
fn one_s_own_is_one_s_own() {
    let house = house();
    let mine = house.make("ada", "Mine");
    assert_eq!(mine.base_url, "https://api.openai.com/v1");
    assert_eq!(house.connections.get(&user("ada"), &mine.id).unwrap(), mine);
    assert_eq!(house.connections.key_of(&mine).unwrap().unwrap().expose(), "sk-CANARY");
    assert!(house.connections.get(&user("bob"), &mine.id).unwrap_err().is_not_found());
    let tried = house.by("bob", Role::Admin, |connections, by, bob| {
        (connections.update(by, bob, &mine.id, Changes::default()), connections.delete(by, bob, &mine.id))
    });
    assert!(tried.0.unwrap_err().is_not_found() && tried.1.unwrap_err().is_not_found());
    let found = house.connections.of(&Holder::User(user("ada"))).unwrap();
    assert!(found.has_key(&found.connections[0]) && found.damaged.is_empty());
}

#[test]
fn the_house_s_are_for_all_and_changed_by_its_keeper() {
    let house = house();
    let ours = house.make_for_house("Ours");
    assert_eq!(house.connections.get(&user("bob"), &ours.id).unwrap(), ours);
    house.by("bob", Role::Manager, |connections, by, bob| {
        let name = Changes { name: Some("Evil".into()), ..Changes::default() };
        assert_eq!(connections.create(by, &Holder::House, draft("x"), None).unwrap_err().code(), "forbidden");
        assert_eq!(connections.update(by, bob, &ours.id, name).unwrap_err().code(), "forbidden");
        assert_eq!(connections.delete(by, bob, &ours.id).unwrap_err().code(), "forbidden");
        assert_eq!(connections.sketch(by, &Holder::House, draft("x")).unwrap_err().code(), "forbidden");
    });
    let (events, _) = house.connections.events.page(None, 10).unwrap();
    assert_eq!(events.iter().filter(|line| line.event == "house_connection_changed").count(), 1);
    house.by("root", Role::Admin, |connections, by, root| {
        let address = Changes { base_url: Some("http://10.0.0.7:8080/".into()), ..Changes::default() };
        assert_eq!(
            connections.update(by, root, &ours.id, address).unwrap().connection.base_url,
            "http://10.0.0.7:8080"
        );
        assert_eq!(connections.delete(by, root, &ours.id).unwrap(), Holder::House);
        assert!(connections.get(root, &ours.id).unwrap_err().is_not_found());
    });
}

#[test]
fn the_default_is_chosen_or_own_or_the_house_s_or_the_echo() {
    let house = house();
    let default = || house.connections.default_of(&user("ada")).unwrap();
    assert_eq!(default(), echo());
    let ours = house.make_for_house("Ours");
    assert_eq!(default(), ours);
    let first = house.make("ada", "First");
    // In another millisecond: of two made in the same one, neither is the first.
    std::thread::sleep(std::time::Duration::from_millis(2));
    let second = house.make("ada", "Second");
    assert_eq!(default(), first);
    house.connections.choose(&user("ada"), Some(&second.id)).unwrap();
    assert_eq!(default(), second);
    assert!(house.connections.choose(&user("bob"), Some(&second.id)).unwrap_err().is_not_found());
    house.by("ada", Role::User, |connections, by, ada| connections.delete(by, ada, &second.id)).unwrap();
    assert_eq!(default(), first);
    house.connections.choose(&user("ada"), Some(&echo().id)).unwrap();
    assert_eq!(default(), echo());
    house.connections.choose(&user("ada"), None).unwrap();
    assert_eq!(default(), first);
}

#[test]
fn what_is_not_said_stays() {
    let house = house();
    let mine = house.make("ada", "Mine");
    let change = |text: &str| {
        let changes: Changes = serde_json::from_str(text).unwrap();
        house.by("ada", Role::User, |connections, by, ada| {
            connections.update(by, ada, &mine.id, changes).map(|updated| updated.connection)
        })
    };
    let has_key = || house.connections.has_key(&mine).unwrap();
    assert_eq!(change("{}").unwrap(), mine);
    assert!(has_key());
    assert_eq!(change(r#"{"model":null}"#).unwrap().model, None);
    assert_eq!(change(r#"{"parameters":{"temperature":0.5}}"#).unwrap().parameters.temperature, Some(0.5));
    assert_eq!(change(r#"{"kind":"ollama"}"#).unwrap().base_url, "http://127.0.0.1:11434");
    assert_eq!(change(r#"{"name":"  "}"#).unwrap_err().code(), "bad_name");
    assert!(change(r#"{"key":null}"#).is_ok() && !has_key());
    assert!(change(r#"{"key":"sk-new"}"#).is_ok() && has_key());
    // What a later version has put into the record is still there.
    let path = house.dir.path().join(format!("ada/connections/{}.json", mine.id));
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record["later"] = serde_json::json!({ "x": 1 });
    std::fs::write(&path, record.to_string()).unwrap();
    change(r#"{"name":"Other"}"#).unwrap();
    let record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!((&record["later"]["x"], &record["name"]), (&serde_json::json!(1), &serde_json::json!("Other")));
}

#[test]
fn a_key_is_never_left_behind() {
    let house = house();
    let mine = house.make("ada", "Mine");
    house.by("ada", Role::User, |connections, by, ada| connections.delete(by, ada, &mine.id)).unwrap();
    assert_eq!(house.connections.key_of(&mine).unwrap(), None);
    let again = house.make("ada", "Again");
    house.connections.forget(&user("ada")).unwrap();
    assert_eq!(house.connections.key_of(&again).unwrap(), None);
    for (path, text) in testing::texts(&testing::tree(house.dir.path())) {
        assert!(!text.contains("CANARY"), "{path}");
    }
    assert!(house.beside.path().join("key").exists());
}

#[test]
fn a_damaged_record_hides_no_other_and_can_be_removed() {
    let house = house();
    let (bad, good) = (house.make("ada", "Bad"), house.make("ada", "Good"));
    let path = house.dir.path().join(format!("ada/connections/{}.json", bad.id));
    for text in ["", "{", "[]", "{\"format\":9}", &format!("{{\"format\":1,\"id\":\"{}\"}}", good.id)] {
        std::fs::write(&path, text).unwrap();
        let found = house.connections.of(&Holder::User(user("ada"))).unwrap();
        assert_eq!((found.connections.len(), found.damaged), (1, vec![bad.id.to_string()]));
        assert_eq!(house.connections.get(&user("ada"), &bad.id).unwrap_err().code(), "damaged");
        assert_eq!(house.connections.default_of(&user("ada")).unwrap(), good);
    }
    house.by("ada", Role::User, |connections, by, ada| connections.delete(by, ada, &bad.id)).unwrap();
    assert!(house.connections.of(&Holder::User(user("ada"))).unwrap().damaged.is_empty());
}

#[test]
fn addresses() {
    let check = |kind, text: &str| check_address(kind, Some(text));
    for (given, kept) in [
        ("http://127.0.0.1:11434/", "http://127.0.0.1:11434"),
        (" https://api.example/v1/ ", "https://api.example/v1"),
        ("HTTP://Example.ORG", "http://example.org"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ] {
        assert_eq!(check(Kind::OpenAi, given).unwrap(), kept);
        assert_eq!(check(Kind::OpenAi, kept).unwrap(), kept);
    }
    for bad in [
        "file:///etc/passwd",
        "ftp://x",
        "localhost:11434",
        "javascript:alert(1)",
        "http://",
        "//x",
        "x",
        "http://user:pass@x",
        "http://x/?key=1",
        "http://x/#y",
        &format!("http://x/{}", "y".repeat(URL_MAX)),
    ] {
        assert_eq!(check(Kind::OpenAi, bad).unwrap_err().code(), "bad_address", "{bad}");
    }
    assert_eq!(check_address(Kind::Text, None).unwrap_err().code(), "bad_address");
    assert_eq!(check(Kind::Echo, "http://x").unwrap(), "");
}

#[test]
fn the_echo_stays_as_it_is() {
    let house = house();
    house.by("root", Role::Admin, |connections, by, root| {
        let id = echo().id;
        assert_eq!(connections.update(by, root, &id, Changes::default()).unwrap_err().code(), "built_in");
        assert_eq!(connections.delete(by, root, &id).unwrap_err().code(), "built_in");
        assert_eq!(connections.get(root, &id).unwrap(), echo());
        assert_eq!(connections.key_of(&echo()).unwrap(), None);
    });
}

#[test]
fn many_at_once_do_not_get_beyond_the_limit_and_leave_no_key_behind() {
    let house = house();
    let first = house.make("ada", "First");
    let of_ada = folder(&Holder::User(user("ada"))).below(&RelPath::parse(&format!("{}.json", first.id)).unwrap());
    let file = house.dir.path().join(of_ada.as_path());
    let text = std::fs::read_to_string(&file).unwrap();
    for n in 2..MOST {
        let id = format!("{n:016x}");
        std::fs::write(file.with_file_name(format!("{id}.json")), text.replace(first.id.as_str(), &id)).unwrap();
    }
    let key = Key::parse("sk-CANARY").unwrap();
    let made = std::thread::scope(|scope| {
        let make = || {
            house.by("ada", Role::User, |connections, by, ada| {
                connections.create(by, &Holder::User(ada.clone()), draft("More"), Some(&key)).is_ok()
            })
        };
        let all: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|made| *made).count()
    });
    let found = house.connections.of(&Holder::User(user("ada"))).unwrap();
    assert_eq!((made, found.connections.len()), (1, MOST));
    assert_eq!(found.connections.iter().filter(|connection| found.has_key(connection)).count(), 2);
}
