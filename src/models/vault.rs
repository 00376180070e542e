//! Where the keys of connections are kept: encrypted with XChaCha20-Poly1305, in `_system/secrets/<handle>.json` and
//! `_system/secrets/_house.json`.
//!
//! The key that they are encrypted with is a small file *outside* the data folder, beside the configuration, made when the
//! first one is entered. So a copy of the data folder, a backup or a lost disk gives no key away. Each encrypted key is
//! bound to its holder and its name, so that it cannot be moved to another connection in the file. Without the file, or
//! with another one, the keys have to be entered again; nothing else is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Holder, Key};
use crate::error::{Error, Result};
use crate::random;
use crate::store::{self, Expect, FileName, Folder, Handle, Owner, Place, Store, Writer};

const FORMAT: u32 = 1;
const HOUSE: FileName = FileName::known("_house.json");
/// Far more than a hundred of the longest keys take.
const SIZE_MAX: u64 = 4 * 1024 * 1024;

/// The encrypted keys of a data folder.
pub struct Vault {
    store: Arc<Store>,
    /// The file with the key to all keys; none where there is no place outside the data folder.
    file: Option<PathBuf>,
}

/// Which keys a holder has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Those that can be read.
    pub names: BTreeSet<String>,
    /// Those that were encrypted under a key file that is not there any more.
    pub lost: BTreeSet<String>,
}

/// What is on the disk for one holder.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct File {
    format: u32,
    keys: BTreeMap<String, Sealed>,
}

/// One encrypted key.
#[derive(Serialize, Deserialize)]
struct Sealed {
    /// Under which key file it was encrypted.
    by: String,
    nonce: String,
    text: String,
}

/// The key to all keys.
struct Master {
    cipher: XChaCha20Poly1305,
    id: String,
}

impl Vault {
    /// The vault of `store`, whose key file is, or will be, at `file`.
    pub fn new(store: Arc<Store>, file: Option<PathBuf>) -> Self {
        Self { store, file }
    }

    /// Which keys `holder` has.
    pub fn held(&self, holder: &Holder) -> Result<Held> {
        let file = self.read(holder)?;
        // Without any key nobody needs the key file.
        let id = if file.keys.is_empty() { None } else { self.master()?.map(|master| master.id) };
        let mut held = Held::default();
        for (name, sealed) in file.keys {
            let readable = id.as_ref() == Some(&sealed.by);
            if readable {
                held.names.insert(name)
            } else {
                held.lost.insert(name)
            };
        }
        Ok(held)
    }

    /// The key of that name, if there is one. Fails when there is one that cannot be read.
    pub fn get(&self, holder: &Holder, name: &str) -> Result<Option<Key>> {
        let file = self.read(holder)?;
        let Some(sealed) = file.keys.get(name) else { return Ok(None) };
        let Some(master) = self.master()? else { return Err(lost("is not there any more")) };
        if master.id != sealed.by {
            return Err(lost("is another one than when the key was entered"));
        }
        master.unseal(holder, name, sealed).map(Some)
    }

    /// Keeps `key` under that name, in place of one that is there.
    pub fn put(&self, holder: &Holder, name: &str, key: &Key) -> Result<()> {
        let sealed = self.master_or_new()?.seal(holder, name, key)?;
        self.store.writing(&Owner::System, |writer| {
            self.change(writer, holder, |file| drop(file.keys.insert(name.to_owned(), sealed)))
        })
    }

    /// Removes the key of that name; one that is not there is fine.
    pub fn remove(&self, holder: &Holder, name: &str) -> Result<()> {
        if !self.read(holder)?.keys.contains_key(name) {
            return Ok(());
        }
        self.store.writing(&Owner::System, |writer| {
            self.change(&writer.urgent(), holder, |file| drop(file.keys.remove(name)))
        })
    }

    /// Removes all keys of an account that is gone.
    pub fn forget(&self, handle: &Handle) -> Result<()> {
        let place = place(&Holder::User(handle.clone()));
        if self.store.stat(&place)?.is_none() {
            return Ok(());
        }
        self.store.writing(&Owner::System, |writer| writer.remove(&place))
    }

    fn read(&self, holder: &Holder) -> Result<File> {
        let Some(text) = store::if_there(self.store.read_at_most(&place(holder), SIZE_MAX))? else {
            return Ok(File::default());
        };
        let damaged = |cause: Error| {
            Error::conflict(
                "damaged",
                "The file with the encrypted keys is damaged, or of a newer version. It was left as it is; the host has \
                 to look at _system/secrets.",
            )
            .because(cause)
        };
        let file: File = serde_json::from_slice(&text).map_err(|error| damaged(Error::internal(error)))?;
        if file.format > FORMAT { Err(damaged(Error::internal("a newer format"))) } else { Ok(file) }
    }

    fn change(&self, writer: &Writer<'_>, holder: &Holder, change: impl FnOnce(&mut File)) -> Result<()> {
        let mut file = self.read(holder)?;
        file.format = FORMAT;
        change(&mut file);
        let text = serde_json::to_vec_pretty(&file).map_err(Error::internal)?;
        writer.write(&place(holder), &text, Expect::Anything)
    }

    /// The key to all keys, if its file is there.
    fn master(&self) -> Result<Option<Master>> {
        let Some(path) = &self.file else { return Ok(None) };
        match store::read_host_file(path, 1024) {
            Ok(text) => Master::parse(&text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::storage("read the file that encrypts keys", error)),
        }
    }

    fn master_or_new(&self) -> Result<Master> {
        if let Some(master) = self.master()? {
            return Ok(master);
        }
        let Some(path) = &self.file else {
            return Err(Error::conflict(
                "no_vault",
                "This server has no place outside its data folder, so it keeps no keys. Nothing was saved.",
            ));
        };
        let text = format!("{}\n", random::random_hex::<32>()?);
        match store::create_host_file(path, text.as_bytes()) {
            Ok(()) => tracing::info!(path = %path.display(), "a file that encrypts keys was made; keep a copy of it"),
            // Somebody else was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(Error::storage("make the file that encrypts keys, beside the configuration", error));
            }
        }
        self.master()?.ok_or_else(|| Error::internal("the key file vanished"))
    }
}

impl Master {
    fn parse(text: &[u8]) -> Result<Self> {
        let digits = text.trim_ascii();
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = digits.chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?));
        let bytes: Option<Vec<u8>> = pairs.collect();
        let cipher = bytes.as_deref().and_then(|bytes| XChaCha20Poly1305::new_from_slice(bytes).ok());
        let cipher = cipher.ok_or_else(|| {
            Error::conflict(
                "vault_key_damaged",
                "The file that encrypts keys (.tavernkeep-key-… beside the configuration) is damaged. Bring it back from \
                 a copy, or remove it and enter the keys again. Nothing else is affected.",
            )
        })?;
        // Names the key, and tells nothing about it.
        let digest = Sha256::new().chain_update(b"tavernkeep vault 1 id").chain_update(digits).finalize();
        let id = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { cipher, id })
    }

    fn seal(&self, holder: &Holder, name: &str, key: &Key) -> Result<Sealed> {
        let nonce = random::random::<24>()?;
        let bound = bound_to(holder, name);
        let payload = Payload { msg: key.expose().as_bytes(), aad: bound.as_bytes() };
        let text = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Error::internal("a key could not be encrypted"))?;
        Ok(Sealed { by: self.id.clone(), nonce: STANDARD_NO_PAD.encode(nonce), text: STANDARD_NO_PAD.encode(text) })
    }

    fn unseal(&self, holder: &Holder, name: &str, sealed: &Sealed) -> Result<Key> {
        let mut nonce = [0; 24];
        let length = STANDARD_NO_PAD.decode_slice(&sealed.nonce, &mut nonce).ok();
        let text = STANDARD_NO_PAD.decode(&sealed.text).ok();
        let bound = bound_to(holder, name);
        let opened = text.filter(|_| length == Some(nonce.len())).and_then(|text| {
            let payload = Payload { msg: &text, aad: bound.as_bytes() };
            self.cipher.decrypt(&XNonce::from(nonce), payload).ok()
        });
        let key = opened.and_then(|bytes| String::from_utf8(bytes).ok()).and_then(|text| Key::parse(&text).ok());
        key.ok_or_else(|| lost("does not fit it: somebody has changed the encrypted key"))
    }
}

/// What an encrypted key is bound to. A holder's name has no line break, so this can be read in one way only.
fn bound_to(holder: &Holder, name: &str) -> String {
    let holder = match holder {
        Holder::House => "_house",
        Holder::User(handle) => handle.as_str(),
    };
    format!("tavernkeep vault 1\n{holder}\n{name}")
}

fn lost(why: &str) -> Error {
    Error::conflict(
        "key_lost",
        format!(
            "The key of this connection cannot be read: the file that encrypts keys (.tavernkeep-key-… beside the \
             configuration) {why}. Bring the file back from a copy, or enter the key again. Nothing else is affected."
        ),
    )
}

fn place(holder: &Holder) -> Place {
    let folder = Place::system().folder(Folder::SECRETS);
    match holder {
        Holder::House => folder.file(&HOUSE),
        Holder::User(handle) => folder.named(handle, ".json"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;

    const CANARY: &str = "sk-CANARY-0123456789";

    struct House {
        dir: tempfile::TempDir,
        beside: tempfile::TempDir,
        store: Arc<Store>,
    }

    impl House {
        fn new() -> Self {
            let (dir, store) = testing::house(&[]);
            Self { dir, beside: tempfile::tempdir().unwrap(), store: Arc::new(store) }
        }

        fn key_file(&self) -> PathBuf {
            self.beside.path().join(".tavernkeep-key-test")
        }

        fn vault(&self) -> Vault {
            Vault::new(Arc::clone(&self.store), Some(self.key_file()))
        }

        fn secrets(&self, file: &str) -> PathBuf {
            self.dir.path().join("_system/secrets").join(file)
        }
    }

    fn ada() -> Holder {
        Holder::User(testing::ada())
    }

    fn key() -> Key {
        Key::parse(CANARY).unwrap()
    }

    #[test]
    fn a_key_comes_back_and_is_nowhere_in_clear() {
        let house = House::new();
        house.vault().put(&ada(), "one", &key()).unwrap();
        house.vault().put(&Holder::House, "one", &key()).unwrap();
        assert_eq!(house.vault().get(&ada(), "one").unwrap().unwrap().expose(), CANARY);
        assert!(house.vault().get(&ada(), "two").unwrap().is_none());
        for (path, text) in testing::texts(&testing::tree(house.dir.path())) {
            assert!(!text.contains("CANARY"), "{path}");
        }
        let (one, two) = (std::fs::read(house.secrets("ada.json")), std::fs::read(house.secrets("_house.json")));
        assert_ne!(one.unwrap(), two.unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn the_key_file_is_for_the_server_alone_and_made_at_first_need() {
        use std::os::unix::fs::PermissionsExt;
        let house = House::new();
        assert_eq!(house.vault().held(&ada()).unwrap(), Held::default());
        house.vault().remove(&ada(), "none").unwrap();
        assert!(!house.key_file().exists());
        house.vault().put(&ada(), "one", &key()).unwrap();
        for file in [house.key_file(), house.secrets("ada.json")] {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
        }
    }

    #[test]
    fn without_the_key_file_keys_are_entered_again_and_nothing_else_is_lost() {
        let house = House::new();
        house.vault().put(&ada(), "one", &key()).unwrap();
        let copy = std::fs::read(house.key_file()).unwrap();
        std::fs::remove_file(house.key_file()).unwrap();
        assert_eq!(house.vault().get(&ada(), "one").unwrap_err().code(), "key_lost");
        assert_eq!(house.vault().held(&ada()).unwrap().lost, ["one".to_owned()].into());
        assert!(!house.key_file().exists());

        // Another one, made by entering a key.
        house.vault().put(&ada(), "two", &key()).unwrap();
        let held = house.vault().held(&ada()).unwrap();
        assert_eq!((held.names, held.lost), (["two".to_owned()].into(), ["one".to_owned()].into()));
        assert_eq!(house.vault().get(&ada(), "one").unwrap_err().code(), "key_lost");

        // The old one again, from a copy.
        std::fs::write(house.key_file(), copy).unwrap();
        assert_eq!(house.vault().get(&ada(), "one").unwrap().unwrap(), key());
        house.vault().remove(&ada(), "two").unwrap();
        assert_eq!(house.vault().held(&ada()).unwrap().names, ["one".to_owned()].into());

        std::fs::write(house.key_file(), "not a key").unwrap();
        assert_eq!(house.vault().get(&ada(), "one").unwrap_err().code(), "vault_key_damaged");
        assert_eq!(house.vault().put(&ada(), "one", &key()).unwrap_err().code(), "vault_key_damaged");
    }

    /// Whoever can write to the data folder cannot make the server send one's key to another connection's server.
    #[test]
    fn an_encrypted_key_is_good_for_its_holder_and_name_only() {
        let house = House::new();
        let bob = Holder::User(Handle::parse("bob").unwrap());
        house.vault().put(&ada(), "one", &key()).unwrap();
        let text = std::fs::read_to_string(house.secrets("ada.json")).unwrap();
        std::fs::write(house.secrets("bob.json"), &text).unwrap();
        assert_eq!(house.vault().get(&bob, "one").unwrap_err().code(), "key_lost");
        std::fs::write(house.secrets("ada.json"), text.replace("\"one\"", "\"two\"")).unwrap();
        assert_eq!(house.vault().get(&ada(), "two").unwrap_err().code(), "key_lost");

        let mut file: File = serde_json::from_str(&text).unwrap();
        let sealed = file.keys.get_mut("one").unwrap();
        let flipped = if sealed.text.starts_with('A') { "B" } else { "A" };
        sealed.text.replace_range(..1, flipped);
        std::fs::write(house.secrets("ada.json"), serde_json::to_vec(&file).unwrap()).unwrap();
        assert_eq!(house.vault().get(&ada(), "one").unwrap_err().code(), "key_lost");

        for damaged in ["", "[", "{\"format\":2}", "{\"keys\":5}"] {
            std::fs::write(house.secrets("ada.json"), damaged).unwrap();
            assert_eq!(house.vault().get(&ada(), "one").unwrap_err().code(), "damaged", "{damaged}");
            assert_eq!(house.vault().put(&ada(), "one", &key()).unwrap_err().code(), "damaged", "{damaged}");
        }
        house.vault().forget(&testing::ada()).unwrap();
        assert!(house.vault().get(&ada(), "one").unwrap().is_none());
    }
}
