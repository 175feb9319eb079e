//! Rule sets of the WAF: which releases are known, where they are installed, how they come there.
//!
//! A rule set decides what reaches an origin, so what is installed is what its authors released, byte for byte: each
//! release has the digests of its files here, one for each place it is published, and nothing else gets in under its
//! name. They are checked again whenever the rules are used. Rules of one's own, or changed ones, are named by their
//! folder instead.

mod archive;
mod fetch;
mod known;
mod store;
mod tree;

use std::path::PathBuf;

pub use fetch::Progress;
pub use known::{RELEASES, Release};
pub use store::{Done, Store};
pub use tree::Tree;

/// A rule set that was found installed, and unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    pub release: &'static Release,
    pub folder: PathBuf,
    /// Where the release was published that is installed.
    pub published: &'static str,
    /// `crs-setup.conf`, `rules/*.conf` and the data files beside those.
    pub files: Tree,
}

/// The rule set that a configuration names `crs@4.25.0`, from where it is installed: the folder of the environment, or
/// the user's, or the system's.
///
/// # Errors
/// Why it cannot be used, with the way out.
pub fn resolve(ruleset: &str) -> Result<Installed, String> {
    let release = Release::find(ruleset)?;
    let stores = Store::to_read();
    for store in &stores {
        if let Some(found) = store.load(release)? {
            return Ok(found);
        }
    }
    let folders: Vec<_> = stores.iter().map(ToString::to_string).collect();
    Err(format!(
        "the rule set {ruleset} is not installed (looked in {}): portcullis rules install {ruleset}",
        folders.join(", ")
    ))
}

/// Where a release is to be taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Where its authors publish it.
    Published,
    /// A folder, or a `.tar.gz` archive.
    Path(PathBuf),
    /// The address of a `.tar.gz` archive.
    Url(String),
}

impl Source {
    /// From the argument of `--from`.
    pub fn parse(text: &str) -> Self {
        if text.starts_with("https://") || text.starts_with("http://") {
            Self::Url(text.to_owned())
        } else {
            Self::Path(text.into())
        }
    }

    /// Reads the release's files, unverified.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn read(&self, release: &Release, progress: Progress<'_>) -> Result<Tree, String> {
        let url = match self {
            Self::Path(path) if path.is_dir() => return Tree::read(path),
            Self::Path(path) => {
                let bytes =
                    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
                return archive::unpack(&bytes)
                    .map_err(|error| format!("{}: {error}", path.display()));
            }
            Self::Url(url) => url,
            Self::Published => release.url,
        };
        let bytes = fetch::get(url, progress)
            .await
            .map_err(|error| format!("{url}: {error}"))?;
        archive::unpack(&bytes).map_err(|error| format!("{url}: {error}"))
    }
}
