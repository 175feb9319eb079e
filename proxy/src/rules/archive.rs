//! Rule sets from archives: `.tar.gz`, as releases are published.

use std::io::{self, Read};

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use super::Tree;

/// Bytes of one file.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Bytes of everything in an archive, unpacked: what is not rules is read too, to get past it.
const UNPACKED_BYTES_MAX: u64 = 256 << 20;

/// The rules in an archive, with or without one folder around everything.
///
/// # Errors
/// It is no such archive, holds no rules, or too much.
pub(super) fn unpack(bytes: &[u8]) -> Result<Tree, String> {
    let unpacked = GzDecoder::new(bytes).take(UNPACKED_BYTES_MAX);
    let mut archive = Archive::new(unpacked);
    let mut tree = Tree::default();
    let failed = |error: io::Error| format!("no .tar.gz archive, or a damaged one: {error}");
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path_bytes().into_owned();
        let (Ok(path), EntryType::Regular) = (String::from_utf8(path), entry.header().entry_type())
        else {
            continue;
        };
        tree.add(inside(&path), || content(entry))?;
    }
    tree.not_empty()
}

/// Without the folder around everything, which a release is named by.
fn inside(path: &str) -> &str {
    let path = path.strip_prefix("./").unwrap_or(path);
    match path.split_once('/') {
        Some((folder, inside)) if folder != "rules" => inside,
        _ => path,
    }
}

fn content(entry: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = entry.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    match read {
        Ok(length) if length as u64 > FILE_BYTES_MAX => {
            Err(format!("a file beyond {} MiB", FILE_BYTES_MAX >> 20))
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("a damaged archive: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            // Not by `append_data`, which refuses paths that a hostile archive may have.
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            builder.append(&header, *content).expect("append");
        }
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed
            .write_all(&builder.into_inner().expect("archive"))
            .expect("write");
        packed.finish().expect("finish")
    }

    fn names(archive: &[u8]) -> Vec<String> {
        let tree = unpack(archive).expect("rules");
        tree.files().map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn a_release_has_a_folder_around_it_or_not() {
        let files: &[(&str, &[u8])] =
            &[("set-1.0/rules/a.conf", b"#"), ("set-1.0/README.md", b"x")];
        assert_eq!(names(&archive(files)), ["rules/a.conf"]);
        let files: &[(&str, &[u8])] =
            &[("./rules/a.conf", b"#"), ("./crs-setup.conf.example", b"x")];
        assert_eq!(names(&archive(files)), ["crs-setup.conf", "rules/a.conf"]);
    }

    #[test]
    fn nothing_gets_out_of_the_folder() {
        let files: &[(&str, &[u8])] = &[
            ("set/rules/../../../etc/cron.d/a.conf", b"#"),
            ("/rules/b.conf", b"#"),
            ("set/rules/c.conf", b"#"),
        ];
        for name in names(&archive(files)) {
            assert!(!name.contains("..") && !name.starts_with('/'), "{name}");
        }
    }

    #[test]
    fn what_is_no_archive_says_so() {
        for bytes in [
            &b""[..],
            b"PK\x03\x04",
            &archive(&[("set/rules/a.conf", b"#")])[..60],
        ] {
            let error = unpack(bytes).expect_err("no archive");
            assert!(
                error.contains("archive") || error.contains("no rules"),
                "{error}"
            );
        }
    }
}
