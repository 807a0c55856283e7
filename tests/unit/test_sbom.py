"""The SBOM's part about models."""

from __future__ import annotations

import json

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts.sbom import with_models
from streamproc.vision.catalogue_file import catalogue

EMPTY = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []}


def test_every_model_is_in_it_with_licence_and_hashes() -> None:
    document = with_models(EMPTY)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    models = {each["name"]: each for each in document["components"]}
    assert models.keys() == catalogue().keys()
    for name, model in models.items():
        assert model["licenses"] == [{"license": {"id": catalogue()[name].licence}}]
        files = {file.sha256 for build in catalogue()[name].builds for file in build if file.sha256}
        assert {each["hashes"][0]["content"] for each in model["components"] if "hashes" in each} == files
        assert all(each["properties"] for each in model["components"]), "where it comes from"
