#!/usr/bin/env bash
# Portcullis beside its peers: one run, one Markdown table on stdout. benches/README.md says how to read it.
#
# Usage: benches/peers/run.sh [--quick] [--json FILE]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=$(cd "$root" && realpath -m "${CARGO_TARGET_DIR:-target}")

for argument in "$@"; do
    case $argument in -h | --help) exec python3 -B "$here/compare.py" --help ;; esac
done

# Everything but the table goes to stderr. A product that does not build becomes a row that says so.
build() {
    (cd "$root" && cargo build --locked "$@") >&2 || echo "does not build: cargo build $*" >&2
}
build --release -p portcullis
build --release -p portcullis-benches --example bare_pingora --example origin
build --profile filter --target wasm32-wasip1 -p portcullis-bench-guests --examples

envoy=$("$here/envoy.sh") || true

arguments=(--programs "$target/release" --guests "$target/wasm32-wasip1/filter/examples")
[[ -n $envoy ]] && arguments+=(--envoy "$envoy")
exec python3 -B "$here/compare.py" "${arguments[@]}" "$@"
