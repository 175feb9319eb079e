//! Every hostcall with any arguments, in any order, from any callback: nothing of it may panic the host.
//!
//! Here the corpus is replayed, and then changed at random for as many seconds as `PORTCULLIS_FUZZ_SECONDS` says (two
//! where it says nothing). The crate in `abi/fuzz` looks for new paths by coverage; what it finds worth keeping is the
//! corpus.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod embedder;
mod guest;
mod run;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

/// The longest input made here.
const INPUT_MAX: usize = 4096;

#[test]
fn hostcalls() {
    let seconds = std::env::var("PORTCULLIS_FUZZ_SECONDS").map_or(2, |text| text.parse().unwrap());
    let mut corpus = corpus();
    let replayed = corpus.len();
    for input in &corpus {
        tried(input);
    }
    corpus.push(Vec::new());
    let seed = std::env::var("PORTCULLIS_FUZZ_SEED")
        .map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    let mut random = StdRng::seed_from_u64(seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut runs = 0_u64;
    while Instant::now() < end {
        let input = changed(&corpus, &mut random);
        tried(&input);
        runs += 1;
    }
    println!("{replayed} inputs replayed, {runs} made by seed {seed}");
    assert!(replayed > 0, "there is no corpus");
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/hostcalls");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the corpus")
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Where the host panics, the input that made it is told.
fn tried(input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run::hostcalls(input))) {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("the host panicked on {hex}");
        resume_unwind(panic);
    }
}

/// A piece of one input, changed, and a piece of another.
fn changed(corpus: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut input = corpus[random.random_range(0..corpus.len())].clone();
    for _ in 0..random.random_range(1..16) {
        let at = random.random_range(0..=input.len());
        match random.random_range(0..4) {
            0 if at < input.len() => input[at] = random.random(),
            1 if at < input.len() => drop(input.remove(at)),
            2 => {
                let mut bytes = [0; 16];
                random.fill_bytes(&mut bytes);
                input.splice(at..at, bytes);
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
