#!/usr/bin/env bash
# Writes requirements.lock: every dependency of every platform and Python from 3.11, with hashes and without addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .tools/uv/bin/uv)
"$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --group dev \
    --no-emit-index-url --no-annotate --no-header pyproject.toml -o requirements.lock "$@"
