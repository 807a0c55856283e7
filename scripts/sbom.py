"""Adds the models of the catalogue to a CycloneDX document: licence, maker, sources, and the hash of each file.

python scripts/sbom.py ENVIRONMENT.json OUT.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from streamproc.vision.catalogue import Model, ModelFile
from streamproc.vision.catalogue_file import catalogue
from streamproc.vision.fetch import describe


def with_models(document: dict[str, Any]) -> dict[str, Any]:
    """The document with a component of type machine-learning-model for each entry of the catalogue."""
    models = [component(model) for model in catalogue().values()]
    return {**document, "components": [*document.get("components", []), *models]}


def component(model: Model) -> dict[str, Any]:
    """A model; its files, of every build, are components inside it."""
    files = {file.sha256 or file.git_blob: file for build in model.builds for file in build}
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{model.name}",
        "name": model.name,
        "description": f"{model.role}; fetched when it is first used, not part of the wheel",
        "publisher": model.origin,
        "licenses": [{"license": {"id": model.licence}}],
        "components": [_file(model, file) for file in files.values()],
    }


def _file(model: Model, file: ModelFile) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": "file",
        "bom-ref": f"model:{model.name}:{file.sha256 or file.git_blob}",
        "name": file.name,
        "properties": [{"name": "streamproc:source", "value": describe(source)} for source in file.sources],
    }
    if file.sha256:
        entry["hashes"] = [{"alg": "SHA-256", "content": file.sha256}]
    else:  # git hashes a header with the bytes, so this is no SHA-1 of the file
        entry["properties"].append({"name": "streamproc:git-blob", "value": file.git_blob})
    return entry


def main() -> None:
    read, write = map(Path, sys.argv[1:3])
    document = with_models(json.loads(read.read_text(encoding="utf-8")))
    write.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
