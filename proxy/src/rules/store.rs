//! Folders with installed rule sets, one folder each: `crs@4.25.0/rules/REQUEST-901-INITIALIZATION.conf`.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Installed, RELEASES, Release, Tree};

/// Names the folder, in place of the user's and the system's.
const FOLDER_VARIABLE: &str = "PORTCULLIS_RULES";

/// For rule sets that all users have, and for those of root.
const SYSTEM: &str = "/var/lib/portcullis/rules";

/// A folder with rule sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    folder: PathBuf,
}

/// What installing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Installed,
    /// The same was there.
    Already,
    /// Something else was there under the name: files were changed or missing.
    Repaired,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.folder.display().fmt(f)
    }
}

impl Store {
    /// The folder itself.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where rule sets are looked for, in order.
    pub fn to_read() -> Vec<Self> {
        let folders = match named() {
            Some(folder) => vec![folder],
            None => own().into_iter().chain([PathBuf::from(SYSTEM)]).collect(),
        };
        folders.into_iter().map(Self::at).collect()
    }

    /// Where a rule set is installed to, unless told otherwise: root's are for all.
    pub fn to_write() -> Self {
        let root = rustix::process::geteuid().is_root();
        let own = own().filter(|_| !root);
        Self::at(named().or(own).unwrap_or_else(|| SYSTEM.into()))
    }

    /// Where a release is, or would be.
    pub fn folder_of(&self, release: &Release) -> PathBuf {
        self.folder.join(release.name)
    }

    /// The release as it is installed here; `None` where it is not.
    ///
    /// # Errors
    /// It cannot be read, or is not what its authors published.
    pub fn load(&self, release: &'static Release) -> Result<Option<Installed>, String> {
        let folder = self.folder_of(release);
        if !folder.is_dir() {
            return Ok(None);
        }
        let files = Tree::read(&folder)?;
        let Some(published) = release.published(&files.digest()) else {
            return Err(format!(
                "{}: the rules were changed after they were installed; repair them with `portcullis rules install {}`, or \
                 copy them and name the copy's folder",
                folder.display(),
                release.name
            ));
        };
        Ok(Some(Installed {
            release,
            folder,
            published,
            files,
        }))
    }

    /// Everything installed here, damaged ones as their errors.
    pub fn list(&self) -> Vec<Result<Installed, String>> {
        let loaded = RELEASES.iter().map(|release| self.load(release));
        loaded.filter_map(Result::transpose).collect()
    }

    /// Installs a release completely, or not at all.
    ///
    /// # Errors
    /// The files are not what the authors published, or cannot be written.
    pub fn install(&self, release: &'static Release, files: &Tree) -> Result<Done, String> {
        let digest = files.digest();
        if release.published(&digest).is_none() {
            let known: Vec<_> = release
                .digests
                .iter()
                .map(|(place, digest)| format!("{digest} ({place})"))
                .collect();
            return Err(format!(
                "these are not the files of {}: their digest is {digest}, expected is {}",
                release.name,
                known.join(" or ")
            ));
        }
        let present = self.load(release);
        if let Ok(Some(present)) = &present
            && present.files == *files
        {
            return Ok(Done::Already);
        }
        let done = match present {
            Ok(None) => Done::Installed,
            Ok(Some(_)) | Err(_) => Done::Repaired,
        };
        let folder = self.folder_of(release);
        let failed = |error: io::Error| format!("cannot install to {}: {error}", folder.display());
        fs::create_dir_all(&self.folder).map_err(failed)?;
        // Beside its place, so that a rename puts it there; a process that dies leaves no half of a rule set.
        let fresh = Temporary(self.folder.join(format!(
            ".{}.{}",
            release.name,
            std::process::id()
        )));
        write(&fresh.0, files).map_err(failed)?;
        let old = Temporary(fresh.0.with_extension("old"));
        match fs::rename(&folder, &old.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        fs::rename(&fresh.0, &folder).map_err(failed)?;
        Ok(done)
    }
}

/// A folder that goes with its name.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write(folder: &Path, files: &Tree) -> io::Result<()> {
    // Left by a process with this number that died.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder.join("rules"))?;
    for (name, content) in files.files() {
        let path = folder.join(name);
        fs::write(&path, content)?;
        fs::File::open(&path)?.sync_all()?;
    }
    Ok(())
}

fn named() -> Option<PathBuf> {
    let named = std::env::var_os(FOLDER_VARIABLE);
    named.filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// The user's.
fn own() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_DATA_HOME").filter(|folder| !folder.is_empty());
    let base = base
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")))?;
    Some(base.join("portcullis/rules"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(rules: &str) -> Tree {
        let mut tree = Tree::default();
        tree.add("rules/a.conf", || Ok(rules.into()))
            .expect("added");
        tree
    }

    /// A release whose authors published one file.
    fn release(rules: &str) -> &'static Release {
        let digest: &'static str = tree(rules).digest().leak();
        Box::leak(Box::new(Release {
            name: "set@1",
            title: "A set",
            url: "http://127.0.0.1/",
            digests: Box::leak(Box::new([("its release", digest)])),
        }))
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("folder").filter_map(Result::ok);
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn what_is_installed_is_what_was_published() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::at(folder.path().join("rules"));
        let release = release("# one");
        assert_eq!(store.load(release), Ok(None));
        let error = store
            .install(release, &tree("# two"))
            .expect_err("not the release");
        assert!(error.contains("not the files of set@1"), "{error}");
        assert_eq!(store.load(release), Ok(None));
        assert_eq!(store.install(release, &tree("# one")), Ok(Done::Installed));
        let installed = store.load(release).expect("good").expect("there");
        assert_eq!(
            (installed.published, installed.files),
            ("its release", tree("# one"))
        );
        assert_eq!(store.install(release, &tree("# one")), Ok(Done::Already));
        assert_eq!(names(&folder.path().join("rules")), ["set@1"]);
    }

    #[test]
    fn changed_rules_are_not_used_and_can_be_repaired() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::at(folder.path().to_owned());
        let release = release("# one");
        store.install(release, &tree("# one")).expect("installed");
        let rules = store.folder_of(release).join("rules");
        fs::write(rules.join("b.conf"), "SecRuleEngine Off").expect("write");
        let error = store.load(release).expect_err("changed");
        assert!(
            error.contains("were changed after they were installed"),
            "{error}"
        );
        assert_eq!(store.install(release, &tree("# one")), Ok(Done::Repaired));
        assert!(store.load(release).expect("good").is_some());
        assert_eq!(names(folder.path()), ["set@1"]);
    }
}
