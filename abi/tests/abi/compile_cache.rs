//! The compile cache: hits, damage, and directories that are not trusted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use portcullis_abi::{Engine, EngineError, EngineOptions, Module};

const MODULE: &str = r#"(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_tick") (param i32) unreachable))"#;

fn load(directory: &Path) -> Module {
    let engine = Engine::new(EngineOptions {
        cache_dir: Some(directory.to_owned()),
    })
    .unwrap();
    Module::load(&engine, &wat::parse_str(MODULE).unwrap()).unwrap()
}

fn only_file(directory: &Path) -> PathBuf {
    let files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// When a file was last written, which tells whether it was compiled again.
fn written(file: &Path) -> (std::time::SystemTime, u64) {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(file).unwrap();
    (metadata.modified().unwrap(), metadata.ino())
}

#[test]
fn a_module_is_compiled_once_and_again_when_its_file_is_damaged() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cache");
    let module = load(&directory);
    let file = only_file(&directory);
    assert!(
        file.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(module.hash())
    );
    assert_eq!(
        fs::metadata(&directory).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let first = written(&file);
    load(&directory);
    assert_eq!(
        written(&only_file(&directory)),
        first,
        "taken from the cache"
    );

    let intact = fs::read(&file).unwrap();
    let mut damaged = vec![intact[..100].to_vec(), Vec::new(), b"short".to_vec()];
    for at in [0, 40, intact.len() / 2, intact.len() - 1] {
        let mut flipped = intact.clone();
        flipped[at] ^= 1;
        damaged.push(flipped);
    }
    for bytes in damaged {
        fs::write(&file, &bytes).unwrap();
        load(&directory);
        assert_eq!(
            fs::read(only_file(&directory)).unwrap(),
            intact,
            "compiled again and kept"
        );
    }
}

#[test]
fn a_file_of_another_version_is_compiled_again() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    load(directory.path());
    let file = only_file(directory.path());
    // A good digest over something that is no code of this runtime.
    use sha2::Digest;
    let code = b"not native code";
    let mut bytes = sha2::Sha256::digest(code).to_vec();
    bytes.extend_from_slice(code);
    fs::write(&file, &bytes).unwrap();
    load(directory.path());
    assert_ne!(fs::read(&file).unwrap(), bytes);
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for mode in [0o770, 0o707, 0o777, 0o1777] {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        let engine = Engine::new(EngineOptions {
            cache_dir: Some(directory.path().to_owned()),
        });
        let error = engine.err().expect("refused");
        assert!(matches!(error, EngineError::Cache(_)));
        assert!(
            error.to_string().contains("others may write to it"),
            "{error}"
        );
    }
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(
        Engine::new(EngineOptions {
            cache_dir: Some(file)
        })
        .is_err()
    );
}

#[test]
fn a_directory_opened_to_others_later_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let engine = Engine::new(EngineOptions {
        cache_dir: Some(directory.path().to_owned()),
    })
    .unwrap();
    let wasm = wat::parse_str(MODULE).unwrap();
    Module::load(&engine, &wasm).unwrap();
    let first = written(&only_file(directory.path()));
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    Module::load(&engine, &wasm).unwrap();
    assert_ne!(
        written(&only_file(directory.path())),
        first,
        "compiled, not loaded"
    );
}
