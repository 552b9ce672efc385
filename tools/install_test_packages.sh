#!/usr/bin/env bash
# Installs the Debian packages that tests need: servers that the tests start themselves, and a browser. Where that is not
# possible it says so and does not fail: the tests that need them are skipped, and fail in CI.
set -u

declare -A program_of=(
    [postgresql]='/usr/lib/postgresql/*/bin/initdb'
    [prometheus]=/usr/bin/promtool
    [prometheus-alertmanager]=/usr/bin/prometheus-alertmanager
    [prometheus-blackbox-exporter]=/usr/bin/prometheus-blackbox-exporter
    [podman]=/usr/bin/podman
    [catatonit]=/usr/bin/catatonit
    [runc]=/usr/sbin/runc
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
