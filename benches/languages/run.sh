#!/usr/bin/env bash
# The example filter of each language beside the others: one Markdown table on stdout, progress on stderr. A language
# whose toolchain is missing has no row.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=$(cd "$root" && realpath -m "${CARGO_TARGET_DIR:-target}")

"$root/examples/filters/build.sh" >&2 || (($? == 77))
cd "$root"
exec cargo run --quiet --release --package portcullis-benches --example languages -- "$target"/examples/*.wasm
