#!/usr/bin/env bash
# Trains, asks the gate, and only then builds the image with the model in it, lists its parts, runs it and asks it.
#
#     tools/release_check.sh [RECIPE]      ENGINE=docker|podman, or tools/podman.py without a registry; see build/release
#
# Where the engine is another host, PUBLISH is the address there that it is reached at, and ASK its name here.
set -euo pipefail
cd "$(dirname "$0")/.."
recipe=${1:-digits} engine=${ENGINE:-docker} made=${RELEASE_DIR:-build/release}
publish=${PUBLISH:-127.0.0.1} ask=${ASK:-127.0.0.1}
rm -rf "$made/store" # of two versions the first would serve
mkdir -p "$made"
# The gate's no is exit status 3, which ends this here.
fairlead train "$recipe" --home "$made" --store "$made/store"
"$engine" build -f deploy/container/Dockerfile --target serve -t fairlead-serve .
"$engine" build -f deploy/container/with-model.Dockerfile --build-arg IMAGE=fairlead-serve -t fairlead-release "$made/store"
"$engine" run --rm -i --entrypoint python3 fairlead-release - < deploy/container/sbom.py > "$made/sbom.cdx.json"
key=$(python3 -c 'import secrets; print(secrets.token_hex(16))')
container=$(API_KEY=$key "$engine" run --detach --read-only --cap-drop=all --memory=256m --tmpfs=/tmp \
    --volume=/var/lib/fairlead --env=API_KEY --publish="$publish:18501:8501" fairlead-release)
trap '"$engine" rm --force --volumes "$container" > /dev/null' EXIT
SMOKE_HEADER="x-api-key: $key" python3 deploy/smoke.py "http://$ask:18501"
"$engine" tag fairlead-release "fairlead-release:checked"
