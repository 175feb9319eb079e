//! The run of `abi/tests/fuzz`, guided by coverage.
#![no_main]

#[path = "../../tests/fuzz/embedder.rs"]
mod embedder;
#[path = "../../tests/fuzz/guest.rs"]
mod guest;
#[path = "../../tests/fuzz/run.rs"]
mod run;

libfuzzer_sys::fuzz_target!(|input: &[u8]| run::hostcalls(input));
