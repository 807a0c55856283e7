#!/usr/bin/env bash
# Builds .venv from requirements.lock. Needs Python 3.11 or newer; brings uv into .tools by pip where it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

python=""
for candidate in "${PYTHON:-}" python3 python3.11 python3.12 python3.13 python3.14; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$(command -v "$candidate")
        break
    fi
done
if [ -z "$python" ]; then
    echo "streamproc needs Python 3.11 or newer; install it, or name it: PYTHON=/path/to/python3.11 make setup" >&2
    exit 1
fi

uv=$(command -v uv || true)
if [ -z "$uv" ] || ! "$uv" --version >/dev/null 2>&1; then
    uv=.tools/uv/bin/uv
    if [ ! -x "$uv" ]; then
        echo "bringing uv into .tools/uv" >&2
        "$python" -m venv .tools/uv
        .tools/uv/bin/pip install --quiet --disable-pip-version-check 'uv>=0.6'
    fi
fi

[ -x .venv/bin/python ] || "$uv" venv --quiet --python "$python" .venv
"$uv" pip sync --python .venv/bin/python --require-hashes requirements.lock
"$uv" pip install --quiet --python .venv/bin/python --no-deps --editable .
