#!/usr/bin/env bash
# What a thousand plugins need of memory: one Markdown table on stdout, progress on stderr.
#
# Usage: benches/memory/run.sh [PLUGINS]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=$(cd "$root" && realpath -m "${CARGO_TARGET_DIR:-target}")

"$root/examples/filters/build.sh" rust >&2
cd "$root"
exec cargo run --quiet --release --package portcullis-benches --example memory -- "$target/examples/rust.wasm" "$@"
