#!/usr/bin/env bash
# Builds the example filters: examples/filters/build.sh [--offline] [LANGUAGE...], all languages where none is named.
#
# Modules go to target/examples/LANGUAGE.wasm. The compilers of AssemblyScript and Zig are installed into the target
# folder when they are not there; with --offline nothing is fetched. Where a toolchain is missing, its language is
# skipped with the reason, the others are built, and the status is 77.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=$(cd "$root" && realpath -m "${CARGO_TARGET_DIR:-target}")
out=$target/examples
readonly here root target out
readonly LANGUAGES=(rust go c cpp assemblyscript zig)
readonly SKIPPED=77

offline=
wanted=()
for argument in "$@"; do
    case $argument in
        --offline) offline=1 ;;
        *) wanted+=("$argument") ;;
    esac
done

# Says why a language cannot be built here.
skip() {
    echo "skipped $1: $2" >&2
    return "$SKIPPED"
}

# Whether a compiler finds a header for the target, that is: whether it can build for it at all.
compiles() {
    command -v "$1" >/dev/null && command -v wasm-ld >/dev/null &&
        "$1" --target=wasm32-wasi -x "$2" -fsyntax-only - <<<"#include <$3>" 2>/dev/null
}

build_rust() {
    # Flags meant for the host (a linker, a CPU) are nothing for a filter.
    env -u RUSTFLAGS CARGO_ENCODED_RUSTFLAGS= cargo build --manifest-path "$root/Cargo.toml" --quiet \
        --package portcullis-example-filter --profile filter --target wasm32-wasip1 \
        --target-dir "$target/test-guests" &&
        cp "$target/test-guests/wasm32-wasip1/filter/portcullis_example_filter.wasm" "$out/rust.wasm"
}

build_go() {
    command -v go >/dev/null || skip go "there is no Go toolchain (command go)" || return
    (cd "$here/go" && GOOS=wasip1 GOARCH=wasm GOFLAGS='-mod=readonly -buildvcs=false' \
        go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o "$out/go.wasm" .)
}

build_c() {
    compiles clang c stdlib.h ||
        skip c "no clang for WASI (Debian: clang lld wasi-libc libclang-rt-dev-wasm32)" || return
    clang --target=wasm32-wasi -mexec-model=reactor -std=c17 -O2 -s -Wall -Wextra -Wno-unused-parameter \
        -I"$here/include" -o "$out/c.wasm" "$here/c/filter.c"
}

build_cpp() {
    compiles clang++ c++ unordered_map ||
        skip cpp "no clang++ for WASI (Debian: as for C, and libc++-dev-wasm32)" || return
    clang++ --target=wasm32-wasi -mexec-model=reactor -std=c++17 -fno-exceptions -O2 -s -Wall -Wextra \
        -I"$here/include" -o "$out/cpp.wasm" "$here/cpp/filter.cc"
}

# The compiler that the lock file names, installed beside the modules: nothing is left among the sources.
build_assemblyscript() {
    local tools=$out/assemblyscript sources=$here/assemblyscript
    command -v node >/dev/null && command -v npm >/dev/null ||
        skip assemblyscript "there is no Node.js with npm" || return
    if ! cmp -s "$sources/package-lock.json" "$tools/installed.json"; then
        [[ -z $offline ]] || skip assemblyscript "its compiler is not installed (examples/filters/build.sh does it)" || return
        mkdir -p "$tools" && cp "$sources"/package*.json "$tools" &&
            npm ci --prefix "$tools" --ignore-scripts --no-audit --no-fund --loglevel=error >&2 &&
            cp "$sources/package-lock.json" "$tools/installed.json" || return
    fi
    (cd "$sources" && node "$tools/node_modules/assemblyscript/bin/asc.js" assembly/index.ts -O3 \
        --runtime incremental --use abort=assembly/proxy_wasm/abort -o "$out/assemblyscript.wasm")
}

build_zig() {
    local tools=$out/zig requirements=$here/zig/requirements.txt
    if ! cmp -s "$requirements" "$tools/installed.txt"; then
        [[ -z $offline ]] || skip zig "its compiler is not installed (examples/filters/build.sh does it)" || return
        command -v python3 >/dev/null || skip zig "there is no Python to install its compiler with" || return
        python3 -m venv "$tools" && "$tools/bin/pip" install --quiet -r "$requirements" >&2 &&
            cp "$requirements" "$tools/installed.txt" || return
    fi
    "$tools/bin/python" -m ziglang build-exe "$here/zig/filter.zig" -target wasm32-freestanding -fno-entry -rdynamic \
        -O ReleaseSafe -fstrip --cache-dir "$tools/cache" --global-cache-dir "$tools/cache" -femit-bin="$out/zig.wasm"
}

mkdir -p "$out"
((${#wanted[@]})) || wanted=("${LANGUAGES[@]}")
outcome=0
for language in "${wanted[@]}"; do
    [[ " ${LANGUAGES[*]} " == *" $language "* ]] || { echo "no such language: $language (${LANGUAGES[*]})" >&2; exit 2; }
    status=0
    "build_$language" || status=$?
    if ((status == 0)); then
        echo "$language: $(stat -c %s "$out/$language.wasm") bytes in $out/$language.wasm"
    elif ((status == SKIPPED)); then
        ((outcome)) || outcome=$SKIPPED
    else
        echo "$language does not build" >&2
        outcome=1
    fi
done
exit "$outcome"
