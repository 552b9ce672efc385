#!/usr/bin/env bash
# Installs the Debian packages that tests need: PostgreSQL, a server of which the tests start themselves. Where that is
# not possible it says so and does not fail: the tests that need it are skipped, and fail in CI.
set -u

is_there() { command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb'; }

is_there > /dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "PostgreSQL is not installed, and this is no Debian or not root: its tests are skipped" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql; } > "$log" 2>&1; then
    tail -n 5 "$log" >&2
fi
rm -f "$log"
is_there > /dev/null || echo "PostgreSQL could not be installed: its tests are skipped" >&2
exit 0
