#!/usr/bin/env bash
# Builds the built-in filter js, and puts it where the program looks for it: filters/js/build.sh [FOLDER...], beside the
# debug and release builds where no folder is named. Two minutes the first time.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=$(cd "$here/../.." && realpath -m "${CARGO_TARGET_DIR:-target}")
folders=("$@")
((${#folders[@]})) || folders=("$target/debug" "$target/release")

# Flags meant for the host (a linker, a CPU) are nothing for a module, and paths of this machine are nobody's business.
flags="--remap-path-prefix=$here=filters/js"$'\x1f'"--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
(cd "$here" && env -u RUSTFLAGS CARGO_ENCODED_RUSTFLAGS="$flags" cargo build --locked --profile filter \
    --target wasm32-wasip1 --target-dir "$target/filter-js")
for folder in "${folders[@]}"; do
    mkdir -p "$folder"
    # Not in place: a proxy may be reading the old one.
    cp "$target/filter-js/wasm32-wasip1/filter/portcullis_filter_js.wasm" "$folder/js.wasm.new"
    mv "$folder/js.wasm.new" "$folder/js.wasm"
    echo "$folder/js.wasm"
done
