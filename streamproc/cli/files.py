"""``validate`` and ``schema``: config files, checked and described."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from streamproc.cli.output import WRONG_INPUT, errors_said, put, put_json, say
from streamproc.config.folder import NODE_FILE, processor_files
from streamproc.core.errors import ConfigError


class Kind(StrEnum):
    PROCESSOR = "processor"
    BOX = "box"


def validate(
    files: Annotated[list[Path], typer.Argument(help="Config files, or config folders.")],
    as_json: Annotated[bool, typer.Option("--json", help="One result a file, as a JSON array.")] = False,
) -> None:
    """Check config files: every fault with file, line, field and fix. Exit code 2 where there is one."""
    results = [_checked(path) for path in _expanded(files)]
    if as_json:
        put_json(results)
    for result in results:
        for fault in result["faults"]:
            say(fault["text"])
        if result["ok"] and not as_json:
            say(f"{result['file']}: ok")
    if not all(result["ok"] for result in results):
        raise typer.Exit(WRONG_INPUT)


def _expanded(paths: list[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        box = path / NODE_FILE
        files += ([box] if box.exists() else []) + list(processor_files(path))
    return files


def _checked(path: Path) -> dict[str, Any]:
    from connectors.catalog import check
    from streamproc.config.load import load_node, load_processor
    from streamproc.config.yaml_file import read_text

    try:
        if path.name == NODE_FILE:
            read_text(path)
            load_node(path, check)
        else:
            load_processor(path, check)
    except ConfigError as error:
        faults = [
            {"line": fault.line, "field": fault.field, "message": fault.message, "text": fault.text(error.file)}
            for fault in error.faults
        ]
        return {"file": str(path), "ok": False, "faults": faults}
    return {"file": str(path), "ok": True, "faults": []}


def schema(
    kind: Annotated[Kind, typer.Argument(help="Which document.")] = Kind.PROCESSOR,
    as_json: Annotated[bool, typer.Option("--json", help="On one line.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="All keys of both documents, for people.")] = False,
) -> None:
    """The JSON Schema of a config document, for editors."""
    with errors_said():
        if markdown:
            from streamproc.cli.reference import markdown as reference

            put(reference().rstrip())
            return
        from streamproc.cli.schema import box_schema, processor_schema

        document = processor_schema() if kind is Kind.PROCESSOR else box_schema()
        if as_json:
            put_json(document)
        else:
            put(json.dumps(document, indent=2, ensure_ascii=False))
