#!/usr/bin/env bash
# Writes dist/: wheel, sdist, and an SBOM (CycloneDX 1.6) of the wheel's closure with the models that it fetches. No upload.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .tools/uv/bin/uv)
rm -rf dist build/release
"$uv" build --quiet --out-dir dist
"$uv" venv --quiet --python .venv/bin/python build/release
"$uv" pip install --quiet --python build/release/bin/python --constraint <(grep -oE '^[A-Za-z0-9._-]+(\[[^]]*\])?==[^ \\]+( ;.*[^\\])?' requirements.lock) dist/*.whl
wheel=$(basename dist/*.whl)
.venv/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o build/release/bom.json build/release/bin/python
.venv/bin/python scripts/sbom.py build/release/bom.json "dist/${wheel%-py3-none-any.whl}.cdx.json"
du -sm build/release/lib/python*/site-packages | awk '{print "the wheel with all that it needs: " $1 " MB"}'
ls -l dist
