//! Tells that something happened in the folders of the watched files; what it was, [`super::files`] finds out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// Watches folders rather than files: a file that is replaced takes its watch with it, and a link that is swapped is an
/// event of the folder it lies in.
pub(super) struct Watcher {
    /// `None` where the system gives no watcher; the caller polls anyway.
    system: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    /// Holds one event: more say no more.
    events: mpsc::Receiver<()>,
    /// Keeps the channel open where there is no watcher.
    _sender: mpsc::Sender<()>,
}

impl Watcher {
    pub(super) fn new() -> Self {
        let (sender, events) = mpsc::channel(1);
        let tell = sender.clone();
        let handler = move |event: notify::Result<notify::Event>| {
            // An error (a queue that overflowed) may hide a change.
            if event.is_err() || event.is_ok_and(|event| may_change(event.kind)) {
                let _ = tell.try_send(());
            }
        };
        let system = notify::recommended_watcher(handler)
            .inspect_err(|error| tracing::warn!("files are polled, not watched: {error}"))
            .ok();
        Self {
            system,
            folders: BTreeSet::new(),
            events,
            _sender: sender,
        }
    }

    /// Watches the folders of these files, and no others.
    pub(super) fn watch(&mut self, files: &[PathBuf]) {
        let Some(system) = &mut self.system else {
            return;
        };
        let wanted = folders(files);
        for gone in self.folders.difference(&wanted) {
            // It may be gone altogether.
            let _ = system.unwatch(gone);
        }
        let mut watched = BTreeSet::new();
        for folder in wanted {
            // Also those watched already: a folder that was removed and made again is another one.
            match system.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    watched.insert(folder);
                }
                Err(error) => {
                    tracing::warn!("{} is polled, not watched: {error}", folder.display());
                }
            }
        }
        self.folders = watched;
    }

    /// Waits for an event since the last one was taken.
    pub(super) async fn event(&mut self) {
        // The channel never closes: its other end is kept here.
        self.events.recv().await;
    }
}

/// Reading is an event too; taking it for one would make every look at the files cause the next.
fn may_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

/// The folder each file is named in, and the one it lies in once links are followed.
fn folders(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let named = files.iter().filter_map(|file| file.parent());
    let real = files.iter().filter_map(|file| file.canonicalize().ok());
    let real = real.filter_map(|file| file.parent().map(Path::to_owned));
    named.map(Path::to_owned).chain(real).collect()
}
