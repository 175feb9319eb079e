//! Any bytes at all, to everything here that reads bytes of others: nothing panics, and what must hold of every input does.
//!
//! Each target has a corpus in `fuzz/corpus/NAME`. It is replayed, and then changed at random for as many seconds as
//! `PORTCULLIS_FUZZ_SECONDS` says (one where it says nothing), by the seed `PORTCULLIS_FUZZ_SEED` or one drawn. An input that failed is told in hexadecimal; as a file of
//! the corpus it stays tried for ever.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod bodies;
mod operators;
mod parser;
mod transformations;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

/// The longest input made here.
const INPUT_MAX: usize = 4096;

#[test]
fn rules() {
    target("parser", parser::WORDS, parser::run);
}

#[test]
fn values_transformed() {
    target(
        "transformations",
        transformations::WORDS,
        transformations::run,
    );
}

#[test]
fn values_matched() {
    target("operators", operators::WORDS, operators::run);
}

#[test]
fn multipart_bodies() {
    target("multipart", bodies::MULTIPART_WORDS, bodies::multipart);
}

#[test]
fn json_bodies() {
    target("json", bodies::JSON_WORDS, bodies::json);
}

#[test]
fn xml_bodies() {
    target("xml", bodies::XML_WORDS, bodies::xml);
}

#[test]
fn forms() {
    target("form", bodies::FORM_WORDS, bodies::form);
}

#[test]
fn cookie_headers() {
    target("cookie", bodies::COOKIE_WORDS, bodies::cookie);
}

#[test]
fn request_targets() {
    target("target", bodies::TARGET_WORDS, bodies::request_target);
}

/// Replays the corpus of a target and changes it; `words` are what the input's language is made of.
fn target(name: &str, words: &[&str], run: fn(&[u8])) {
    let seconds = std::env::var("PORTCULLIS_FUZZ_SECONDS").map_or(1, |text| text.parse().unwrap());
    let corpus = corpus(name);
    for input in &corpus {
        tried(name, run, input);
    }
    let seed = std::env::var("PORTCULLIS_FUZZ_SEED")
        .map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    let mut random = StdRng::seed_from_u64(seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut runs = 0_u64;
    while Instant::now() < end {
        let input = changed(&corpus, words, &mut random);
        tried(name, run, &input);
        runs += 1;
    }
    println!(
        "{name}: {} inputs replayed, {runs} made by seed {seed}",
        corpus.len()
    );
    assert!(!corpus.is_empty(), "there is no corpus");
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the corpus")
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Where a target panics, the input that made it is told.
fn tried(name: &str, run: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("{name} panicked on {hex}");
        resume_unwind(panic);
    }
}

/// A piece of one input, changed, with words and pieces of others in it.
fn changed(corpus: &[Vec<u8>], words: &[&str], random: &mut StdRng) -> Vec<u8> {
    let mut input = corpus[random.random_range(0..corpus.len())].clone();
    for _ in 0..random.random_range(1..16) {
        let at = random.random_range(0..=input.len());
        match random.random_range(0..6) {
            0 if at < input.len() => input[at] = random.random(),
            1 if at < input.len() => {
                let end = (at + random.random_range(1..32)).min(input.len());
                input.drain(at..end);
            }
            2 => {
                let mut bytes = [0; 4];
                random.fill_bytes(&mut bytes);
                input.splice(at..at, bytes);
            }
            3 | 4 if !words.is_empty() => {
                let word = words[random.random_range(0..words.len())];
                input.splice(at..at, word.bytes());
            }
            _ => {
                let other = &corpus[random.random_range(0..corpus.len())];
                let from = random.random_range(0..=other.len());
                let to = (from + 64).min(other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    input.truncate(INPUT_MAX);
    input
}
