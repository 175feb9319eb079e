//! The releases that can be installed by name.

/// A release of a rule set.
#[derive(Debug, PartialEq, Eq)]
pub struct Release {
    /// `crs@4.25.0`
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// The `.tar.gz` archive that its authors publish.
    pub url: &'static str,
    /// Where it is published, and [`super::Tree::digest`] of it there.
    pub digests: &'static [(&'static str, &'static str)],
}

/// All that are known.
pub const RELEASES: &[Release] = &[Release {
    name: "crs@4.25.0",
    title: "OWASP Core Rule Set",
    url: "https://github.com/coreruleset/coreruleset/archive/refs/tags/v4.25.0.tar.gz",
    digests: &[
        (
            "its release",
            "e493ec107f03ed0d1b2218508af93dca8f81516cafd904e3ae3eb9d8be2a1aa1",
        ),
        // The same rules without their comments.
        (
            "the Go module coraza-coreruleset",
            "7f7f504171b17afe606c7378e234a6bcc88b859ca447af147d19c1017ac5f94f",
        ),
    ],
}];

impl Release {
    /// The release of that name.
    ///
    /// # Errors
    /// There is none; what there is.
    pub fn find(name: &str) -> Result<&'static Self, String> {
        let found = RELEASES.iter().find(|release| release.name == name);
        found.ok_or_else(|| {
            let names: Vec<_> = RELEASES.iter().map(|release| release.name).collect();
            format!(
                "there is no rule set \"{name}\": known are {}; any other is named by its folder",
                names.join(", ")
            )
        })
    }

    /// Where a tree with this digest is published.
    pub fn published(&self, digest: &str) -> Option<&'static str> {
        let found = self.digests.iter().find(|(_, known)| *known == digest);
        found.map(|(place, _)| *place)
    }
}
