#!/usr/bin/env bash
# The regression tests of the OWASP Core Rule Set: failures by id, and last 'N passed, N failed'.
#
# Usage: tests/crs/run.sh [--native] [ID...]
#   --native  against the engine alone, without proxy and sandbox
#   ID        tests whose ids begin so: 942, 942100, 942100-7
# PORTCULLIS names the program; by default the one of the tests is built.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=$(cd "$root" && realpath -m "${CARGO_TARGET_DIR:-target}")

cd "$here"
go mod download
if [[ ${1:-} == --native ]]; then
    shift
    cd "$root"
    exec env PORTCULLIS_REQUIRE_ALL=1 cargo test --quiet --package portcullis-seclang --test crs -- "$@"
fi
if [[ -z ${PORTCULLIS:-} ]]; then
    (cd "$root" && cargo build --quiet --workspace --bin portcullis)
    PORTCULLIS=$target/debug/portcullis
fi
exec go run . -proxy "$PORTCULLIS" "$@"
