#!/usr/bin/env bash
# Portcullis and real Envoy side by side: a table of their differences, each with its reason, and last
# 'N passed, N failed'. Envoy is installed into the target folder where it is not there yet. README.md says more.
#
# Usage: tests/conformance/run.sh [WORD], a word that the names of the wanted cases have in them
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
benches/peers/envoy.sh >/dev/null
# The whole workspace's features, or cargo would compile every shared dependency a second time.
exec cargo test --quiet --workspace --test conformance -- "$@"
