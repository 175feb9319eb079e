//! What the watched files hold, so that only a change of content counts as one: Kubernetes swaps symbolic links, editors
//! replace files, and `touch` changes nothing.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Reads what is not the same file with the same size and time: cheap enough for every few seconds.
    Metadata,
    /// Reads everything: two writes can share a time stamp.
    Content,
}

/// Files and what they held when they were last looked at.
pub(super) struct Files(BTreeMap<PathBuf, Held>);

/// `None`: the file cannot be read, or is missing.
type Held = Option<(Stamp, Hash)>;

type Hash = [u8; 32];

/// Changes with the file behind a path, and with most writes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl Files {
    pub(super) fn read(paths: Vec<PathBuf>) -> Self {
        let held = paths.into_iter().map(|path| {
            let held = read(&path).ok();
            (path, held)
        });
        Self(held.collect())
    }

    /// Whether a file holds something else than last time; looks at all of them, and takes what it finds for known.
    pub(super) fn changed(&mut self, depth: Depth) -> bool {
        let mut changed = false;
        for (path, known) in &mut self.0 {
            let stamp = fs::metadata(path).map(|metadata| Stamp::of(&metadata)).ok();
            if depth == Depth::Metadata && stamp == known.map(|(stamp, _)| stamp) {
                continue;
            }
            let held = read(path).ok();
            changed |= held.map(|(_, hash)| hash) != known.map(|(_, hash)| hash);
            *known = held;
        }
        changed
    }

    /// Goes on with these files. What is new is read now; false: such a file was written after `since`, and whoever
    /// read it then may have seen something else. It counts as changed next time.
    pub(super) fn replace(&mut self, paths: Vec<PathBuf>, since: SystemTime) -> bool {
        let mut fresh = true;
        let held = paths.into_iter().map(|path| {
            let held = self.0.remove(&path).unwrap_or_else(|| {
                let late = modified(&path).is_some_and(|modified| modified >= since);
                fresh &= !late;
                if late { None } else { read(&path).ok() }
            });
            (path, held)
        });
        self.0 = held.collect();
        fresh
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
}

fn read(path: &Path) -> io::Result<(Stamp, Hash)> {
    let mut file = File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let mut digest = Sha256::new();
    io::copy(&mut file, &mut digest)?;
    Ok((stamp, digest.finalize().into()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const DEPTHS: [Depth; 2] = [Depth::Metadata, Depth::Content];

    #[test]
    fn only_content_counts() {
        for depth in DEPTHS {
            let folder = tempfile::tempdir().expect("folder");
            let path = folder.path().join("a");
            fs::write(&path, "one").expect("write");
            let mut files = Files::read(vec![path.clone()]);
            assert!(!files.changed(depth));
            // The same text in another file, and with another time.
            let other = folder.path().join("b");
            fs::write(&other, "one").expect("write");
            fs::rename(&other, &path).expect("rename");
            let file = File::options().append(true).open(&path).expect("open");
            file.set_modified(UNIX_EPOCH).expect("time");
            assert!(!files.changed(depth), "{depth:?}");
            fs::write(&path, "two").expect("write");
            assert!(files.changed(depth), "{depth:?}");
            assert!(!files.changed(depth), "a change is told once");
        }
    }

    #[test]
    fn the_same_stamp_hides_nothing_from_a_close_look() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a");
        let write = |text: &str| {
            fs::write(&path, text).expect("write");
            let file = File::options().append(true).open(&path).expect("open");
            file.set_modified(UNIX_EPOCH).expect("time");
        };
        write("one");
        let mut files = Files::read(vec![path.clone()]);
        write("two");
        assert!(!files.changed(Depth::Metadata));
        assert!(files.changed(Depth::Content));
    }

    #[test]
    fn coming_and_going_are_changes() {
        for depth in DEPTHS {
            let folder = tempfile::tempdir().expect("folder");
            let path = folder.path().join("a");
            let mut files = Files::read(vec![path.clone()]);
            assert!(!files.changed(depth));
            fs::write(&path, "").expect("write");
            assert!(files.changed(depth));
            fs::remove_file(&path).expect("remove");
            assert!(files.changed(depth));
        }
    }

    #[test]
    fn a_swapped_link_is_a_change() {
        for depth in DEPTHS {
            let folder = tempfile::tempdir().expect("folder");
            let at = |name: &str| folder.path().join(name);
            for (version, text) in [("v1", "one"), ("v2", "two")] {
                fs::create_dir(at(version)).expect("folder");
                fs::write(at(version).join("edge.yaml"), text).expect("write");
            }
            symlink("v1", at("data")).expect("link");
            symlink("data/edge.yaml", at("edge.yaml")).expect("link");
            let mut files = Files::read(vec![at("edge.yaml")]);
            symlink("v2", at("new")).expect("link");
            fs::rename(at("new"), at("data")).expect("swap");
            assert!(files.changed(depth));
        }
    }

    #[test]
    fn replacing_keeps_what_is_known_and_doubts_what_is_late() {
        let folder = tempfile::tempdir().expect("folder");
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        for path in [&old, &new] {
            fs::write(path, "one").expect("write");
        }
        let past = SystemTime::now() - Duration::from_secs(60);
        let future = SystemTime::now() + Duration::from_secs(60);
        let mut files = Files::read(vec![old.clone()]);
        fs::write(&old, "two").expect("write");
        assert!(files.replace(vec![old.clone(), new.clone()], future));
        assert!(
            files.changed(Depth::Content),
            "the old file's change is not lost"
        );
        assert!(!files.changed(Depth::Content));
        let mut files = Files::read(vec![old.clone()]);
        assert!(
            !files.replace(vec![old, new], past),
            "written after the reload began"
        );
        assert!(files.changed(Depth::Content));
    }
}
