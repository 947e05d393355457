//! The disks of the cache: opened before the plan that wants them, told of while they are in use.

use std::time::Duration;

use croupier_cache::disk::{OpenError, Settings};
use croupier_config::{Config, Diagnostic, codes, model::CacheDisk};
use croupier_proxy::Live;
use croupier_telemetry::{Level, event};

/// How long one disk may take at the end.
const FLUSH_TIME: Duration = Duration::from_secs(5);

/// A disk that can not be used.
#[derive(Debug)]
pub(crate) struct Unusable<'a> {
    store: &'a str,
    disk: &'a CacheDisk,
    error: OpenError,
}

/// Opens the disks of a config that are not open yet. Gives those that can not be.
pub(crate) fn open<'a>(config: &'a Config, live: &Live) -> Vec<Unusable<'a>> {
    let mut unusable = Vec::new();
    for store in &config.stores {
        let Some(disk) = &store.disk else { continue };
        let mut settings = Settings::new(disk.path.value.clone(), disk.size);
        settings.object_max = store.max_object;
        if let Err(error) = live.stores.open(&settings) {
            let store = store.name.value.as_str();
            unusable.push(Unusable { store, disk, error });
        }
    }
    unusable
}

impl Unusable<'_> {
    /// Its store runs from memory alone.
    pub(crate) fn tell(&self) {
        event(
            Level::Warn,
            "cache.disk.unusable",
            &[
                ("store", &self.store),
                ("error", &self.error),
                ("meanwhile", &"it keeps answers in memory alone"),
                ("help", &self.help()),
            ],
        );
    }

    /// For a reload, which is refused.
    pub(crate) fn diagnostic(&self) -> Diagnostic {
        let message = self.error.to_string();
        Diagnostic::error(codes::STORE, self.disk.path.span, message).help(self.help())
    }

    /// Was it so before? Then the running process does without it already.
    pub(crate) fn is_known(&self, before: &Config, live: &Live) -> bool {
        let disks = before.stores.iter().filter_map(|store| store.disk.as_ref());
        let path = &self.disk.path.value;
        let mut same = disks.filter(|disk| disk.path.value == *path);
        same.next().is_some() && live.stores.disk(path).is_none()
    }

    fn help(&self) -> &'static str {
        match self.error {
            OpenError::InUse { .. } | OpenError::Foreign { .. } => {
                "give the store another directory"
            }
            OpenError::TooSmall { .. } => "give it more `size`",
            OpenError::Io { .. } => {
                "make the directory, and give it to the user that croupier runs as; with systemd: `CacheDirectory=croupier`"
            }
        }
    }
}

/// Says what the disks have to say.
pub(crate) fn tell_events(live: &Live) {
    for (path, disk) in live.stores.disks() {
        let path = path.display();
        for said in disk.take_events() {
            let values: [(&str, &dyn std::fmt::Display); 2] = [("path", &path), ("said", &said)];
            event(Level::Warn, "cache.disk", &values);
        }
    }
}

/// Waits until what was kept is on the disks, as long as that may take.
pub(crate) fn flush(live: &Live) {
    for (_, disk) in live.stores.disks() {
        let _ = disk.flush().wait(FLUSH_TIME);
    }
}

/// What of the disks changes at the next start only.
pub(crate) fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let disks = |config: &Config| -> Vec<CacheDisk> {
        let disks = config.stores.iter().filter_map(|store| store.disk.clone());
        disks.collect()
    };
    let before = disks(old);
    let is_resized = |disk: &CacheDisk| {
        let mut same = (before.iter()).filter(|old| old.path.value == disk.path.value);
        same.any(|old| old.size != disk.size)
    };
    let resized = disks(new).into_iter().filter(is_resized);
    resized
        .map(|disk| {
            let path = disk.path.value.display();
            format!("the `size` of `{path}` changes at the next start")
        })
        .collect()
}
