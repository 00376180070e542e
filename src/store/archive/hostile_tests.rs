//! Archives bent on purpose: each is refused whole, by name, at once, and nothing of it is left.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

use rstest::rstest;

use super::manifest::{FORMAT, Listed, MANIFEST, Manifest};
use super::tests::file_of;
use super::{Limits, Progress};
use crate::error::{Error, Result};
use crate::store::restore::Prepared;
use crate::store::testing::{ada, house};
use crate::store::{RelPath, Version};

/// An entry of a zip, every field of which can lie.
#[derive(Clone)]
struct Entry {
    name: Vec<u8>,
    local_name: Option<Vec<u8>>,
    data: Vec<u8>,
    method: u16,
    flags: u16,
    crc: u32,
    packed: u32,
    size: u32,
    attributes: u32,
    extra: Vec<u8>,
    /// Points somewhere else than where it is.
    offset: Option<u32>,
}

fn entry(name: &str, data: &[u8]) -> Entry {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    let length = u32::try_from(data.len()).unwrap();
    Entry {
        name: name.into(),
        local_name: None,
        data: data.to_vec(),
        method: 0,
        flags: 0,
        crc: crc.sum(),
        packed: length,
        size: length,
        attributes: 0,
        extra: Vec::new(),
        offset: None,
    }
}

impl Entry {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn deflated(name: &str, data: &[u8]) -> Self {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(data).unwrap();
        let packed = encoder.finish().unwrap();
        entry(name, data).with(|entry| {
            entry.method = 8;
            entry.packed = u32::try_from(packed.len()).unwrap();
            entry.data = packed;
        })
    }

    fn local_header(&self) -> Vec<u8> {
        let name = self.local_name.as_ref().unwrap_or(&self.name);
        let mut bytes = b"PK\x03\x04\x14\0".to_vec();
        for half in [self.flags, self.method, 0, 0x21] {
            bytes.extend(half.to_le_bytes());
        }
        for word in [self.crc, self.packed, self.size] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(name);
        bytes
    }

    fn central_header(&self, offset: u32) -> Vec<u8> {
        let mut bytes = b"PK\x01\x02\x14\x03\x14\0".to_vec();
        for half in [self.flags, self.method, 0, 0x21] {
            bytes.extend(half.to_le_bytes());
        }
        for word in [self.crc, self.packed, self.size] {
            bytes.extend(word.to_le_bytes());
        }
        for length in [self.name.len(), self.extra.len(), 0, 0, 0] {
            bytes.extend(u16::try_from(length).unwrap().to_le_bytes());
        }
        bytes.extend(self.attributes.to_le_bytes());
        bytes.extend(self.offset.unwrap_or(offset).to_le_bytes());
        bytes.extend(&self.name);
        bytes.extend(&self.extra);
        bytes
    }
}

fn end(entries: u16, size: u32, start: u32) -> Vec<u8> {
    let mut bytes = b"PK\x05\x06\0\0\0\0".to_vec();
    bytes.extend(entries.to_le_bytes());
    bytes.extend(entries.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn end64(entries: u64, size: u64, start: u64) -> Vec<u8> {
    let mut bytes = b"PK\x06\x06".to_vec();
    bytes.extend(44_u64.to_le_bytes());
    bytes.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for figure in [entries, entries, size, start] {
        bytes.extend(figure.to_le_bytes());
    }
    let at = start + size;
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(at.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes
}

fn pack(entries: &[Entry]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        directory.extend(entry.central_header(u32::try_from(bytes.len()).unwrap()));
        bytes.extend(entry.local_header());
        bytes.extend(&entry.data);
    }
    let (start, size) = (u32::try_from(bytes.len()).unwrap(), u32::try_from(directory.len()).unwrap());
    bytes.extend(directory);
    bytes.extend(end(u16::try_from(entries.len()).unwrap(), size, start));
    bytes
}

fn settings() -> Entry {
    entry("settings.json", b"{}")
}

fn prepare(bytes: &[u8]) -> Result<Prepared> {
    prepare_file(file_of(bytes))
}

/// Prepares a restore; after a refusal nothing of it may be left.
fn prepare_file(file: fs::File) -> Result<Prepared> {
    let (root, store) = house(&[("settings.json", b"mine")]);
    let canary = root.path().join("canary");
    fs::write(&canary, b"canary").unwrap();
    let prepared = store.prepare_restore(&ada(), file, &Limits { max_bytes: 8 << 30 }, &Progress::default());
    assert_eq!(fs::read(canary).unwrap(), b"canary");
    assert_eq!(fs::read(root.path().join("ada/settings.json")).unwrap(), b"mine");
    if prepared.is_err() {
        let left = fs::read_dir(root.path().join("_system/restores")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "something is left of a refused archive");
    }
    prepared
}

#[track_caller]
fn refused(result: Result<Prepared>, because: &str) -> Error {
    let error = result.expect_err("it was accepted");
    assert_eq!(error.code(), "bad_archive", "{error:?}");
    assert!(error.message().contains(because), "{because:?} is not in {:?}", error.message());
    error
}

#[test]
fn the_builder_makes_good_archives() {
    let plan = prepare(&pack(&[settings(), Entry::deflated("chats/a/b.jsonl", &[b'x'; 5000])])).unwrap().plan;
    assert_eq!((plan.files, plan.bytes), (2, 5002));
}

#[rstest]
#[case::climbing("../x", "nothing but dots")]
#[case::climbing_deep("chats/../../x", "nothing but dots")]
#[case::dot("chats/./x", "nothing but dots")]
#[case::double_slash("chats//x", "it is empty")]
#[case::absolute("/x", "absolute")]
#[case::drive("C:\\x", "absolute")]
#[case::drive_slash("c:/x", "absolute")]
#[case::share("\\\\srv\\x", "absolute")]
#[case::backslash("chats\\x", "slash")]
#[case::backslash_climb("..\\x", "slash")]
#[case::control("chats/a\u{1b}[2Jb", "control")]
#[case::nul("chats/a\0b", "control")]
#[case::direction("chats/\u{202e}gpj.exe", "control")]
#[case::empty("", "empty")]
#[case::only_slash("/", "empty")]
#[case::temporary(".tavernkeep-x.tmp", "temporary")]
#[case::long(&"x".repeat(300), "255")]
#[case::deep(&"a/".repeat(40), "32 folders")]
#[case::long_path(&["x".repeat(200).as_str(); 8].join("/"), "too long a path")]
fn bad_names(#[case] name: &str, #[case] because: &str) {
    refused(prepare(&pack(&[settings(), entry(name, b"x")])), because);
}

#[test]
fn a_name_in_a_message_is_escaped_and_short() {
    let name = format!("chats/\u{1b}]0;owned\u{7}{}", "x".repeat(150));
    let error = refused(prepare(&pack(&[settings(), entry(&name, b"x")])), "\\u{1b}");
    assert!(!error.message().contains('\u{1b}') && error.message().len() < 300);
}

#[test]
fn a_name_that_is_not_utf8() {
    let entry = entry("chats/x", b"x").with(|entry| entry.name[6] = 0xff);
    refused(prepare(&pack(&[settings(), entry])), "not UTF-8: \"chats/\\xff\"");
}

#[rstest]
#[case::link(0o120_777, "link")]
#[case::pipe(0o010_644, "link")]
#[case::device(0o020_644, "link")]
#[case::block_device(0o060_644, "link")]
#[case::socket(0o140_644, "link")]
#[case::set_user_id(0o104_755, "link")]
#[case::folder_without_slash(0o040_755, "file and a folder")]
fn special_files(#[case] mode: u32, #[case] because: &str) {
    let entry = entry("chats/x", b"/etc/passwd").with(|entry| entry.attributes = mode << 16);
    refused(prepare(&pack(&[settings(), entry])), because);
}

#[rstest]
#[case::twice("chats/a", "chats/a", "same file")]
#[case::file_and_folder("chats/a", "chats/a/b", "file and a folder")]
#[case::file_and_empty_folder("chats/a", "chats/a/", "same file")]
#[case::file_and_folder_far("chats/a", "chats/a/b/c/d", "file and a folder")]
fn names_that_fall_together(#[case] one: &str, #[case] other: &str, #[case] because: &str) {
    // Others that sort in between must not hide it.
    let between = ["chats/a b", "chats/a-b", "chats/a.b", "chats/Z"].map(|name| entry(name, b"x"));
    let content = |name: &str| if name.ends_with('/') { entry(name, b"") } else { entry(name, b"x") };
    for pair in [[one, other], [other, one]] {
        let mut entries = vec![settings(), content(pair[0])];
        entries.extend(between.clone());
        entries.push(content(pair[1]));
        refused(prepare(&pack(&entries)), because);
    }
}

/// A disk that tells them apart has had them, so a backup has them, and it has to come back.
#[test]
fn names_that_only_look_alike_are_fine() {
    let names = [
        "chats/a",
        "chats/a b",
        "chats/a.b/c",
        "chats/ab/c",
        "chats/a-b/c",
        "chats/A",
        "chats/Ada/1",
        "chats/ada/2",
        "chats/\u{e9}",
        "chats/e\u{301}",
        "chats/\u{c9}",
    ];
    let entries: Vec<Entry> = names.iter().map(|name| entry(name, b"x")).chain([settings()]).collect();
    assert_eq!(prepare(&pack(&entries)).unwrap().plan.files, names.len() as u64 + 1);
}

#[rstest]
#[case::encrypted(|entry: &mut Entry| entry.flags = 1, "encrypted")]
#[case::strongly_encrypted(|entry: &mut Entry| entry.flags = 0x41, "encrypted")]
#[case::hidden_directory(|entry: &mut Entry| entry.flags = 0x2000, "encrypted")]
#[case::patch(|entry: &mut Entry| entry.flags = 0x20, "compressed in a way")]
#[case::unknown_method(|entry: &mut Entry| entry.method = 12, "compressed in a way")]
#[case::deflate64(|entry: &mut Entry| entry.method = 9, "compressed in a way")]
#[case::larger_than_it_says(|entry: &mut Entry| entry.size -= 1, "wrong size")]
#[case::smaller_than_it_says(|entry: &mut Entry| entry.size += 1, "wrong size")]
#[case::wrong_crc(|entry: &mut Entry| entry.crc ^= 1, "is damaged")]
#[case::another_local_name(|entry: &mut Entry| entry.local_name = Some(b"../x12345".to_vec()), "not where the archive says")]
#[case::beyond_the_archive(|entry: &mut Entry| entry.offset = Some(u32::MAX - 1), "overlaps")]
#[case::into_the_directory(|entry: &mut Entry| (entry.packed, entry.size) = (5000, 5000), "overlaps")]
#[case::not_at_a_header(|entry: &mut Entry| entry.offset = Some(1), "")]
#[case::second_part(|entry: &mut Entry| entry.extra = vec![1, 0, 4, 0, 9, 9, 9, 9], "")]
fn entries_that_lie(#[case] lie: fn(&mut Entry), #[case] because: &str) {
    let result = prepare(&pack(&[settings(), entry("chats/x", b"some words").with(lie)]));
    // A field that says nothing is only ignored.
    if !(because.is_empty() && result.is_ok()) {
        refused(result, because);
    }
}

#[rstest]
#[case::says_less(-1)]
#[case::says_more(1)]
fn a_packed_file_of_another_size_than_it_says(#[case] by: i32) {
    let data = vec![b'x'; 300_000];
    let entry = Entry::deflated("chats/x", &data).with(|entry| entry.size = entry.size.strict_add_signed(by));
    refused(prepare(&pack(&[settings(), entry])), "chats/x");
}

#[rstest]
#[case::file("chats", "should be a folder")]
#[case::folder("settings.json/", "should be a file")]
#[case::folder_of_more("secrets.json/x", "should be a file")]
fn known_names_of_another_kind(#[case] name: &str, #[case] because: &str) {
    let content: &[u8] = if name.ends_with('/') { b"" } else { b"x" };
    let result = prepare(&pack(&[entry("worlds/w.json", b"{}"), entry(name, content)]));
    refused(result, because);
}

#[test]
fn a_folder_with_content() {
    refused(prepare(&pack(&[settings(), entry("chats/", b"words")])), "wrong size");
}

#[test]
fn entries_that_share_their_bytes() {
    let zeros = Entry::deflated("chats/a", &vec![0; 1_000_000]);
    let same = |name: &str| {
        zeros.clone().with(|entry| {
            entry.name = name.into();
            entry.data = Vec::new();
            entry.offset = Some(0);
        })
    };
    refused(prepare(&pack(&[zeros.clone(), same("chats/b"), same("chats/c"), settings()])), "overlaps");
    // One that reaches into the next, whose header is part of its data.
    let inner = pack(&[entry("chats/inner", b"words")]);
    let outer = entry("chats/outer", &inner);
    let at = u32::try_from(outer.local_header().len()).unwrap();
    let inner = entry("chats/inner", b"words").with(|entry| {
        entry.data = Vec::new();
        entry.offset = Some(at);
    });
    refused(prepare(&pack(&[outer, inner, settings()])), "overlaps");
}

#[test]
fn a_gigabyte_of_zeros_in_a_megabyte() {
    let zeros = Entry::deflated("chats/zeros", &vec![0; 1 << 30]);
    let bytes = pack(&[settings(), zeros.clone()]);
    assert!(bytes.len() < 2 << 20);
    within(Duration::from_secs(2), || refused(prepare(&bytes), "hundred times"));
    // The same with a size that looks harmless.
    let bytes = pack(&[settings(), zeros.with(|entry| entry.size = 1000)]);
    within(Duration::from_secs(2), || refused(prepare(&bytes), "chats/zeros"));
}

#[test]
fn more_than_the_server_allows() {
    let entry = entry("chats/x", b"").with(|entry| {
        entry.extra = [1_u16.to_le_bytes().as_slice(), &8_u16.to_le_bytes(), &(9_u64 << 30).to_le_bytes()].concat();
        (entry.method, entry.size) = (8, u32::MAX);
    });
    refused(prepare(&pack(&[settings(), entry])), "would unpack to");
}

/// The promise for all of these: refused within two seconds and 256 MB.
pub(super) fn within<T>(limit: Duration, work: impl FnOnce() -> T) -> T {
    let (memory, started) = (peak_memory(), processor_time());
    let result = work();
    let (took, grew) = (processor_time() - started, peak_memory() - memory);
    assert!(took < limit, "it took {took:?}");
    assert!(grew < 256 << 10, "it took {grew} kB");
    result
}

/// What this thread has used: the clock on the wall would count what else the machine does.
fn processor_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

/// The most memory that this process has had, in kB, where every test is a process of its own.
fn peak_memory() -> u64 {
    if std::env::var_os("NEXTEST").is_none() {
        return 0;
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap())
}

/// A directory of `count` empty entries, written straight to a file, and an end that says there are `says`.
fn many(count: u32, says: u64) -> fs::File {
    let mut file = std::io::BufWriter::new(tempfile::tempfile().unwrap());
    let (mut start, mut size) = (0_u64, 0_u64);
    let entries = || (0..count).map(|n| entry(&format!("chats/{n:07}"), b""));
    for entry in entries() {
        file.write_all(&entry.local_header()).unwrap();
        start += entry.local_header().len() as u64;
    }
    let mut offset = 0;
    for entry in entries() {
        let header = entry.central_header(offset);
        file.write_all(&header).unwrap();
        offset += u32::try_from(entry.local_header().len()).unwrap();
        size += header.len() as u64;
    }
    file.write_all(&end64(says, size, start)).unwrap();
    file.write_all(&end(u16::MAX, u32::MAX, u32::MAX)).unwrap();
    let mut file = file.into_inner().unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn a_million_entries() {
    let (honest, lying) = (many(1_000_000, 1_000_000), many(1_000_000, 1000));
    within(Duration::from_secs(2), || refused(prepare_file(honest), "200,000 entries"));
    within(Duration::from_secs(2), || refused(prepare_file(lying), "more entries than it says"));
}

#[test]
fn an_end_that_promises_more_than_there_is() {
    within(Duration::from_secs(2), || refused(prepare_file(many(10, 199_999)), "cut off or damaged"));
    let mut bytes = pack(&[settings()]);
    let at = bytes.len() - 14;
    for (field, value) in [(at, [0xff, 0xfe]), (at + 4, [1, 0]), (at + 8, [1, 0]), (at - 6, [1, 0])] {
        let mut bytes = bytes.clone();
        bytes[field..field + 2].copy_from_slice(&value);
        refused(prepare(&bytes), "");
    }
    bytes.extend(b"something behind it");
    refused(prepare(&bytes), "not a zip");
    refused(prepare(&[b"something before it".as_slice(), &pack(&[settings()])].concat()), "directory is damaged");
}

#[test]
fn two_ends_that_differ() {
    let mut bytes = pack(&[settings()]);
    let end_at = bytes.len() - 22;
    let end = bytes.split_off(end_at);
    let size = u32::from_le_bytes(end[12..16].try_into().unwrap());
    let start = u32::from_le_bytes(end[16..20].try_into().unwrap());
    let good = [bytes.as_slice(), &end64(1, size.into(), start.into()), &end].concat();
    prepare(&good).unwrap();
    let bad = [bytes.as_slice(), &end64(0, 0, (start + size).into()), &end].concat();
    refused(prepare(&bad), "differ");
}

#[test]
fn a_second_archive_in_the_comment_is_not_taken_for_the_first() {
    let mut bytes = pack(&[settings()]);
    let comment = pack(&[entry("chats/other", b"x")]);
    let length = bytes.len();
    bytes[length - 2..].copy_from_slice(&u16::try_from(comment.len()).unwrap().to_le_bytes());
    bytes.extend(&comment);
    refused(prepare(&bytes), "damaged");
}

#[rstest]
#[case::nothing(b"")]
#[case::text(b"hello")]
#[case::only_an_end(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")]
#[case::short_end(b"PK\x05\x06\0\0\0\0\0\0")]
fn what_is_no_archive(#[case] bytes: &[u8]) {
    refused(prepare(bytes), "");
}

#[test]
fn a_comment_and_extra_fields_are_fine() {
    let mut bytes = pack(&[settings().with(|entry| entry.extra = vec![0x55, 0x54, 5, 0, 1, 0, 0, 0, 0x60, 9])]);
    let length = bytes.len();
    bytes[length - 2..].copy_from_slice(&5_u16.to_le_bytes());
    bytes.extend(b"hello");
    prepare(&bytes).unwrap();
}

#[test]
fn a_hole_in_a_large_file_costs_nothing() {
    // A directory that begins beyond 4 GiB, in a sparse file.
    let mut file = tempfile::tempfile().unwrap();
    let start = 5_u64 << 30;
    let entry = settings();
    let header = entry.central_header(0);
    file.write_all(&entry.local_header()).unwrap();
    file.write_all(&entry.data).unwrap();
    file.seek(SeekFrom::Start(start)).unwrap();
    file.write_all(&header).unwrap();
    file.write_all(&end64(1, header.len() as u64, start)).unwrap();
    file.write_all(&end(1, u32::try_from(header.len()).unwrap(), u32::MAX)).unwrap();
    within(Duration::from_secs(2), || prepare_file(file)).unwrap();
}

fn manifest(files: &[(&str, &str)], folders: &[&str], format: u32) -> Entry {
    let path = |path: &str| RelPath::parse(path).unwrap();
    let listed = |(name, text): &(&str, &str)| Listed {
        path: path(name),
        size: text.len() as u64,
        sha256: Version::of(text.as_bytes()),
        modified: 0,
        mode: 0o4777,
    };
    let manifest = Manifest {
        format,
        handle: ada(),
        created: 0,
        program: "test".to_owned(),
        secrets: false,
        files: files.iter().map(listed).collect(),
        folders: folders.iter().map(|folder| path(folder)).collect(),
        left_out: Vec::new(),
        skipped: Vec::new(),
    };
    entry(MANIFEST, &serde_json::to_vec(&manifest).unwrap())
}

#[rstest]
#[case::missing_file(&[("settings.json", "{}"), ("chats/x", "x")], &[], FORMAT, "\"chats/x\" is on the archive's own list")]
#[case::extra_file(&[], &[], FORMAT, "\"settings.json\" is not on the archive's own list")]
#[case::other_content(&[("settings.json", "[]")], &[], FORMAT, "\"settings.json\" is not as the archive's own list says")]
#[case::other_size(&[("settings.json", "{ }")], &[], FORMAT, "another size")]
#[case::listed_twice(&[("settings.json", "{}"), ("settings.json", "{}")], &[], FORMAT, "twice")]
#[case::folder_in_a_file(&[("settings.json", "{}")], &["settings.json/x"], FORMAT, "file and a folder")]
#[case::newer(&[("settings.json", "{}")], &[], FORMAT + 1, "newer")]
fn a_list_that_does_not_fit(
    #[case] files: &[(&str, &str)],
    #[case] folders: &[&str],
    #[case] format: u32,
    #[case] because: &str,
) {
    refused(prepare(&pack(&[settings(), manifest(files, folders, format)])), because);
}

#[rstest]
#[case::no_json(b"{")]
#[case::climbing(br#"{"format":1,"handle":"ada","created":0,"program":"","secrets":false,"files":[],"folders":["../x"],"leftOut":[],"skipped":[]}"#)]
#[case::bad_handle(br#"{"format":1,"handle":"../x","created":0,"program":"","secrets":false,"files":[],"folders":[],"leftOut":[],"skipped":[]}"#)]
fn a_list_that_is_none(#[case] text: &[u8]) {
    refused(prepare(&pack(&[settings(), entry(MANIFEST, text)])), "own list is damaged");
}

#[test]
fn permissions_beyond_the_usual_are_not_brought_back() {
    let (root, store) = house(&[]);
    let bytes = pack(&[settings(), manifest(&[("settings.json", "{}")], &[], FORMAT)]);
    let prepared = store.prepare_restore(&ada(), file_of(&bytes), &Limits::default(), &Progress::default()).unwrap();
    store.apply_restore(&ada(), &prepared.id, &[super::Part::Settings]).unwrap();
    let stat = super::super::Stat::of(&fs::metadata(root.path().join("ada/settings.json")).unwrap());
    assert_eq!(stat.mode, 0o777);
}
