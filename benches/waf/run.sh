#!/usr/bin/env bash
# What a WAF costs each request: Portcullis beside Coraza, and nginx with libmodsecurity where that is installed (Debian:
# nginx, libnginx-mod-http-modsecurity). A Markdown table on stdout. benches/README.md says how to read it.
#
# Usage: benches/waf/run.sh [--quick] [--json FILE]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=$(cd "$root" && realpath -m "${CARGO_TARGET_DIR:-target}")

arguments=()
while (($#)); do
    case $1 in
        --quick) arguments+=(-quick) ;;
        --json)
            arguments+=(-json "$(realpath -m "$2")")
            shift
            ;;
        *) sed -n 's/^# Usage: /Usage: /p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
    esac
    shift
done

cd "$root"
cargo build --locked --release -p portcullis >&2
cargo build --locked --release -p portcullis-seclang --example cost >&2
rules=$(go mod download -json github.com/corazawaf/coraza-coreruleset/v4@v4.25.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
for module in /usr/lib/nginx/modules/ngx_http_modsecurity_module.so; do
    [[ ! -e $module ]] || arguments+=(-nginx-module "$module")
done

cd "$here"
go build -o "$target/waf-bench" .
exec "$target/waf-bench" -portcullis "$target/release/portcullis" -native "$target/release/examples/cost" \
    -rules "$rules" "${arguments[@]}"
