//! The rooms put together: what a command or a request works with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::accounts::{Account, Accounts, By, Lifetime, PasswordHash, Rules};
use crate::config::Config;
use crate::conversation::gather::Sources;
use crate::conversation::generations::{self, Generations};
use crate::conversation::greeting;
use crate::conversation::prompt::Persona;
use crate::conversation::talking::Talking;
use crate::error::{Error, Result};
use crate::events::{Event, Events, Origin, What};
use crate::library::bin::{Bin, Restored, Rules as Keeping, Sort};
use crate::library::changes::{Change, Changes};
use crate::library::characters::Parts;
use crate::library::chats::{ChatRef, Expect as ChatExpect, Message};
use crate::library::search::Search;
use crate::library::{Characters, Chats, Lorebooks, Personas, Portraits, Settings, Thumbnails, settings};
use crate::models::{Connections, Ledger, Models, Rooms, Vault};
use crate::store::archive::Part;
use crate::store::opening::Opening;
use crate::store::trash::Swept;
use crate::store::{Faults, FileName, Handle, Place, RestoreId, Store, TrashId, UndoId};
use crate::{clock, random};

/// Replies under way, in this house.
pub type Talk = Generations<Talking>;

/// A house that is open.
pub struct App {
    /// How it is configured.
    pub config: Config,
    /// Its data folder.
    pub store: Arc<Store>,
    /// Its audit log.
    pub events: Arc<Events>,
    /// Its people.
    pub accounts: Arc<Accounts>,
    /// Their settings.
    pub settings: Arc<Settings>,
    /// Their pictures.
    pub portraits: Portraits,
    /// The language models that are asked.
    pub models: Arc<Models>,
    /// Their chats.
    pub chats: Arc<Chats>,
    /// What finds words in their chats.
    pub search: Arc<Search>,
    /// What they deleted or replaced.
    pub bin: Arc<Bin>,
    /// What their windows are told.
    pub changes: Arc<Changes>,
    /// Their characters.
    pub characters: Arc<Characters>,
    /// Who they are in their chats.
    pub personas: Personas,
    /// Their lorebooks.
    pub lorebooks: Lorebooks,
    /// Small pictures.
    pub thumbnails: Arc<Thumbnails>,
    /// Connections to model servers, theirs and the house's.
    pub connections: Arc<Connections>,
    /// What they had models do.
    pub ledger: Arc<Ledger>,
    /// Replies under way.
    pub talk: Arc<Talk>,
}

/// How a chat begins.
#[derive(Debug, Clone)]
pub struct First {
    /// What the character is called.
    pub character_name: String,
    /// What they say first, if anything.
    pub message: Option<Message>,
}

/// How to open a house.
#[derive(Debug, Default)]
pub struct Opens {
    /// Serve it, rather than work beside a server.
    pub serve: bool,
    /// Make accounts for folders that have none.
    pub adopt: bool,
    /// A folder outside the data folder, for the audit log's head and the key that encrypts keys.
    pub notes: Option<PathBuf>,
    /// Make the disk fail, in tests.
    pub faults: Option<Arc<Faults>>,
}

impl App {
    /// Opens the data folder that `config` names.
    pub fn open(config: Config, opens: Opens) -> Result<Self> {
        let opening = Opening { serve: opens.serve, adopt: opens.adopt, faults: opens.faults };
        let (store, opened) = Store::open(&config.data_root, opening)?;
        let store = Arc::new(store);
        if opens.serve {
            store.finish_swaps()?;
        }
        let beside = |name: &str| opens.notes.as_ref().map(|folder| folder.join(note(name, &store.install().id)));
        let (head, key_file) = (beside("audit"), beside("key"));
        let events = Arc::new(Events::new(Arc::clone(&store), head));
        let accounts = Accounts::open(Arc::clone(&store), Arc::clone(&events), rules(&config), opened)?;
        let keeping = Keeping { days: config.trash.days, size_max: config.trash.max_size.bytes() };
        let changes = Arc::new(Changes::default());
        let bin = Arc::new(Bin::new(Arc::clone(&store), keeping, Arc::clone(&changes)));
        let thumbnails = Arc::new(Thumbnails::new(Arc::clone(&store)));
        let chats = Arc::new(Chats::new(Arc::clone(&store), Arc::clone(&bin), Arc::clone(&changes)));
        let settings = Arc::new(Settings::new(Arc::clone(&store), config.backups.common.number_of_backups as usize));
        let characters = Arc::new(Characters::new(Parts {
            store: Arc::clone(&store),
            settings: Arc::clone(&settings),
            thumbnails: Arc::clone(&thumbnails),
            chats: Arc::clone(&chats),
            bin: Arc::clone(&bin),
            changes: Arc::clone(&changes),
        }));
        let vault = Vault::new(Arc::clone(&store), key_file);
        let connections = Arc::new(Connections::new(Arc::clone(&store), Arc::clone(&events), vault));
        let (ledger, models) = (Arc::new(Ledger::new(Arc::clone(&store))), Arc::new(Models::new(&config)));
        let accounts = Arc::new(accounts);
        let talking = Talking {
            sources: Sources {
                store: Arc::clone(&store),
                chats: Arc::clone(&chats),
                characters: Arc::clone(&characters),
                connections: Arc::clone(&connections),
                rooms: Rooms::new(Arc::clone(&models)),
            },
            accounts: Arc::clone(&accounts),
            changes: Arc::clone(&changes),
            models: Arc::clone(&models),
            ledger: Arc::clone(&ledger),
        };
        let app = Self {
            search: Arc::new(Search::new(Arc::clone(&store), Arc::clone(&chats))),
            talk: Generations::new(Arc::new(talking), Arc::clone(&store), rules_of_talk(&config)),
            portraits: Portraits::new(Arc::clone(&store)),
            personas: Personas::new(
                Arc::clone(&store),
                Arc::clone(&settings),
                Arc::clone(&thumbnails),
                Arc::clone(&bin),
                Arc::clone(&changes),
            ),
            lorebooks: Lorebooks::new(Arc::clone(&store), Arc::clone(&bin), Arc::clone(&changes)),
            characters,
            thumbnails,
            bin,
            changes,
            chats,
            settings,
            connections,
            ledger,
            accounts,
            models,
            config,
            store,
            events,
        };
        if opens.serve {
            app.seed_everyone();
            app.recover_replies();
        }
        Ok(app)
    }

    /// Makes what is missing in people's folders. A full disk is no reason not to open.
    fn seed_everyone(&self) {
        let Ok(listing) = self.accounts.listing() else { return };
        for account in listing.by_age() {
            if let Err(error) = self.settings.seed(&account.handle) {
                tracing::warn!(?error, handle = %account.handle, "a user's folder could not be completed");
            }
        }
    }

    /// Puts into their chats what was under way when the server ended all of a sudden. A disk that refuses is asked again
    /// later, and is no reason not to open.
    fn recover_replies(&self) {
        match self.talk.recover() {
            Ok(0) => {}
            Ok(replies) => tracing::info!(replies, "replies that were under way at the last end are in their chats"),
            Err(error) => {
                tracing::error!(?error, "replies that were under way at the last end could not be looked for")
            }
        }
    }

    /// Makes an account and its folder. The folder goes first: if it cannot be made, there is no account either.
    pub fn create_user(&self, by: By<'_>, handle: &Handle, name: &str, password: Option<PasswordHash>) -> Result<()> {
        self.accounts.may_create(by, handle, name)?;
        self.settings.seed(handle)?;
        self.accounts.create(by, handle, name, password).map(drop)
    }

    /// Deletes an account; `purge` moves its folder to the trash, else it stays where it is. The folder goes first: if it
    /// cannot be moved, the account is still there, and nobody else can get the handle and with it the folder. Keys of its
    /// connections are gone for good before the handle is free.
    pub fn delete_user(&self, by: By<'_>, handle: &Handle, purge: bool) -> Result<()> {
        self.accounts.may_delete(by, handle)?;
        if purge {
            self.store.trash_user(handle)?;
        }
        self.talk.forget(handle);
        self.connections.forget(handle)?;
        self.ledger.forget(handle)?;
        self.search.remove(handle)?;
        self.accounts.delete(by, handle)?;
        self.forget(handle);
        // Derived; that it cannot be removed is no reason to say that the account has not been.
        if let Err(error) = self.characters.erase(handle) {
            tracing::warn!(?error, %handle, "the index of characters is left");
        }
        // A save that came in between has made the folder anew.
        if purge && self.store.stat(&Place::of(handle))?.is_some() {
            self.store.trash_user(handle)?;
        }
        Ok(())
    }

    /// Brings a settings snapshot back; the present settings become one first.
    pub fn restore_snapshot(&self, handle: &Handle, name: &str, origin: &Origin) -> Result<()> {
        self.settings.restore_snapshot(handle, name)?;
        self.portraits.forget(handle);
        self.changes.publish(handle, Change::Personas {});
        self.events.record(Event::new(What::SnapshotRestored, origin).to(handle).with("snapshot", name));
        Ok(())
    }

    /// Deletes a settings snapshot for good.
    pub fn remove_snapshot(&self, handle: &Handle, name: &str, origin: &Origin) -> Result<()> {
        self.settings.remove_snapshot(handle, name)?;
        self.events.record(Event::new(What::SnapshotDeleted, origin).to(handle).with("snapshot", name));
        Ok(())
    }

    /// Somebody's settings back to the defaults; a snapshot is made first.
    pub fn reset_settings(&self, handle: &Handle, origin: &Origin) -> Result<()> {
        self.settings.reset(handle)?;
        self.forget(handle);
        self.events.record(Event::new(What::SettingsReset, origin).to(handle));
        Ok(())
    }

    /// Somebody's whole folder starts afresh. What was there becomes an undo point.
    pub fn reset_folder(&self, handle: &Handle, origin: &Origin) -> Result<UndoId> {
        let undo = self
            .store
            .reset_folder(handle, |writer, tree| writer.create(&tree.file(&settings::FILE), settings::defaults()))?;
        self.forget(handle);
        self.events.record(Event::new(What::FolderReset, origin).to(handle).with("undo", undo.as_str()));
        Ok(undo)
    }

    /// Brings the chosen parts of a prepared restore back.
    pub fn apply_restore(&self, handle: &Handle, id: &RestoreId, parts: &[Part], origin: &Origin) -> Result<UndoId> {
        let undo = self.store.apply_restore(handle, id, parts)?;
        self.forget(handle);
        let names: Vec<&str> = parts.iter().map(|part| part.id()).collect();
        self.events
            .record(Event::new(What::Restored, origin).to(handle).with("parts", names).with("undo", undo.as_str()));
        Ok(undo)
    }

    /// Brings an undo point back; the present state becomes one.
    pub fn undo(&self, handle: &Handle, id: &UndoId, origin: &Origin) -> Result<UndoId> {
        let undo = self.store.undo(handle, id)?;
        self.forget(handle);
        self.events.record(Event::new(What::Undone, origin).to(handle).with("undo", undo.as_str()));
        Ok(undo)
    }

    /// Removes an undo point for good.
    pub fn remove_undo(&self, handle: &Handle, id: &UndoId, origin: &Origin) -> Result<()> {
        self.store.remove_undo(handle, id)?;
        self.events.record(Event::new(What::Undone, origin).to(handle).with("removed", id.as_str()));
        Ok(())
    }

    /// How a chat with a character begins, said to whoever the person is there: the greeting at `which`.
    pub fn greet(&self, who: &Account, character: &FileName, persona: Option<&str>, which: usize) -> Result<First> {
        let card = self.characters.get(&who.handle, character)?;
        let persona = self.persona(who, persona)?;
        let seed = u64::from_le_bytes(random::random()?);
        let now = clock::local(std::time::SystemTime::now());
        let message = greeting::greeting(&card, &persona, which, now, seed)?;
        Ok(First { character_name: card.name().to_owned(), message })
    }

    /// A message of the person's in a chat, in the name that they have there.
    pub fn say(&self, who: &Account, chat: &ChatRef, persona: Option<&str>, text: &str) -> Result<Message> {
        let header = self.chats.open(&who.handle, chat)?.header;
        let chosen = persona.or_else(|| header.as_ref()?.ours("persona")?.as_str());
        let persona = self.persona(who, chosen)?;
        Ok(Message::new(&persona.name, true, text))
    }

    /// What a person is called in their chats, unless a chat says otherwise.
    pub fn name_of(&self, who: &Account) -> Result<String> {
        Ok(self.persona(who, None)?.name)
    }

    /// Who the person is: a persona, or just themselves.
    fn persona(&self, who: &Account, chosen: Option<&str>) -> Result<Persona> {
        let chosen = chosen.map(FileName::parse).transpose()?;
        Ok(match self.personas.chosen(&who.handle, chosen.as_ref())? {
            Some(persona) => Persona { name: persona.name, description: persona.description, ..Persona::default() },
            None => Persona { name: who.name.clone(), ..Persona::default() },
        })
    }

    /// Gives a chat another name, and lets the card follow that names it as the last one.
    pub fn rename_chat(&self, handle: &Handle, chat: &ChatRef, expect: ChatExpect, name: &str) -> Result<ChatRef> {
        let to = self.chats.rename(handle, chat, expect, name)?;
        match self.characters.chat_renamed(handle, &chat.character, &chat.chat, &to.chat) {
            Ok(true) => self.changes.publish(handle, Change::Characters {}),
            Ok(false) => {}
            // The chat has its new name: that the card does not know it is no reason to say that it has not.
            Err(error) => tracing::warn!(?error, %handle, "a card names a chat by its old name"),
        }
        Ok(to)
    }

    /// Brings something back from the trash, with what belongs to it and is not in files of its own.
    pub fn untrash(&self, handle: &Handle, id: &TrashId) -> Result<Restored> {
        let restored = self.bin.restore(handle, id, |writer, restored| match restored.thing {
            Sort::Persona => {
                // One without a picture has no file that says how it ended.
                let ending = restored.ending.as_deref().unwrap_or(".png");
                let file = FileName::parse(&format!("{}{ending}", restored.stem))?;
                self.personas.restored(writer, handle, &file, &restored.note)
            }
            _ => Ok(()),
        })?;
        self.is_back(handle, &restored)?;
        Ok(restored)
    }

    /// Puts an earlier version in the place of what is there now.
    pub fn put_back(&self, handle: &Handle, id: &TrashId) -> Result<Restored> {
        let restored = self.bin.put_back(handle, id)?;
        self.is_back(handle, &restored)?;
        Ok(restored)
    }

    /// Tells of what came out of the trash.
    fn is_back(&self, handle: &Handle, restored: &Restored) -> Result<()> {
        match (restored.thing, &restored.of) {
            (Sort::Chat | Sort::Version, Some(of)) => {
                let chat = ChatRef::new(FileName::parse(of)?, restored.stem.clone())?;
                self.chats.restored(handle, &chat, &restored.note);
            }
            (Sort::Character | Sort::Version | Sort::Chat, _) => {
                self.chats.forget(handle);
                self.search.forget(handle);
                self.changes.publish(handle, Change::Characters {});
                self.changes.publish(handle, Change::Chats {});
            }
            (Sort::Persona, _) => self.changes.publish(handle, Change::Personas {}),
            (Sort::Lorebook, _) => self.changes.publish(handle, Change::Lorebooks {}),
        }
        Ok(())
    }

    /// Forgets what is remembered of a folder, because all of it may be different now.
    fn forget(&self, handle: &Handle) {
        self.portraits.forget(handle);
        self.characters.forget(handle);
        self.chats.forget(handle);
        self.changes.publish(handle, Change::Everything {});
    }

    /// What has to be done now and then: room kept for deleting, replies that wait for the disk, automatic snapshots, times
    /// of last use.
    pub fn keep_house(&self) {
        if let Err(error) = self.store.keep_reserve() {
            tracing::warn!(?error, "no room is kept for deleting on a full disk");
        }
        self.talk.settle_left();
        self.accounts.flush();
        self.search.rest();
        match self.accounts.listing() {
            Ok(listing) => {
                let everyone: Vec<Handle> = listing.by_age().iter().map(|account| account.handle.clone()).collect();
                self.settings.snapshot_due(&everyone);
            }
            Err(error) => tracing::warn!(?error, "the accounts could not be read"),
        }
    }

    /// Removes undo points, trash and forgotten uploads that have been kept long enough.
    pub fn sweep(&self) {
        match self.store.sweep(self.config.backups.undo_days) {
            Ok(swept) if swept != Swept::default() => tracing::info!(?swept, "old undo points and trash were removed"),
            Ok(_) => {}
            Err(error) => tracing::warn!(?error, "old undo points and trash could not all be removed"),
        }
        let everybody = self.accounts.listing().map(|listing| listing.by_age()).unwrap_or_default();
        for account in everybody {
            match self.bin.sweep(&account.handle) {
                Ok(0) => {}
                Ok(swept) => tracing::info!(swept, handle = %account.handle, "old things were removed from the trash"),
                Err(error) => tracing::warn!(?error, handle = %account.handle, "the trash could not be swept"),
            }
        }
    }

    /// Whether whoever can reach the server over the network is stopped by something else than passwords.
    pub fn is_exposed(&self) -> bool {
        self.config.binds_beyond_loopback() && !self.config.has_network_protection()
    }

    /// Refuses to open a house to the network that anyone could walk into.
    pub fn check_exposure(&self) -> Result<()> {
        if !self.is_exposed() || self.config.security_override {
            return Ok(());
        }
        let someone_has_a_password = self
            .accounts
            .listing()?
            .active()
            .iter()
            .any(|account| account.is_active_admin() && account.password.is_some());
        if self.config.enable_user_accounts && someone_has_a_password {
            return Ok(());
        }
        Err(Error::conflict(
            "unprotected",
            "This would open the house to everyone on the network. Nothing was started. Set one of these first:\n\
             \x20 - accounts with passwords: enableUserAccounts: true, and a password for an admin\n\
             \x20   (tavernkeep recover default-user -)\n\
             \x20 - only certain addresses: whitelistMode: true and a whitelist\n\
             \x20 - one password for all: basicAuthMode: true and a basicAuthUser of your own\n\
             or listen on this machine only (listen: false).",
        ))
    }
}

fn rules_of_talk(config: &Config) -> generations::Rules {
    let models = &config.models;
    generations::Rules {
        per_connection: models.per_connection as usize,
        per_user: models.per_user as usize,
        first_word: models.first_word(),
        silence: models.silence(),
        ..generations::Rules::default()
    }
}

fn rules(config: &Config) -> Rules {
    Rules {
        accounts: config.enable_user_accounts,
        discreet: config.enable_discreet_login,
        lifetime: Lifetime::from_setting(config.session_timeout),
        bcrypt_cost: config.passwords.bcrypt_cost,
        code_length: config.recovery.code_length,
        sign_in_tries: config.rate_limiting.accounts_login_max_attempts,
        recover_tries: config.rate_limiting.accounts_recover_max_attempts,
        reset_tries: config.rate_limiting.accounts_reset_max_attempts,
    }
}

/// The name of a file outside the data folder that belongs to it.
fn note(name: &str, install: &str) -> String {
    format!(".tavernkeep-{name}-{}", install.get(..8).unwrap_or(install))
}

/// The folder beside the configuration, for the little that is kept outside the data folder.
pub fn notes_folder(config_file: &Path) -> PathBuf {
    match config_file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
