"""docs/aws-compatibility.md, written from the tables of the operations and the service model.

``python -m streamproc.aws.compatibility > docs/aws-compatibility.md``
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from botocore.model import ListShape, MapShape, Shape, StructureShape

from streamproc.aws.operations.all import OPERATIONS
from streamproc.aws.operations.table import ABSENT_MEMBERS, Served
from streamproc.aws.service import operation_models, service_model

_HEAD = """# What of Amazon Rekognition is served

Written by `python -m streamproc.aws.compatibility` from the tables that the endpoint itself works with and from botocore's
service model; a test compares. Do not edit.

- **served**: does what the service's own documentation says.
- **ignored**: checked as the service does (type, length, pattern...), then not used.
- **refused**: answered with an error that says why.
- **absent**: never in an answer.

An operation that is not served answers 400 `AccessDeniedException` and says so. Members that the service model does not know
are ignored in requests, as the service does. Limits and how to lift them: [migration.md](migration.md).
"""


def render() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_summary(), *_operations(), *_structures(), ""])


def _summary() -> Iterator[str]:
    models = operation_models()
    served = sorted(OPERATIONS)
    yield f"## Operations\n\n{len(served)} of {len(models)} are served.\n"
    yield "| operation | |"
    yield "|---|---|"
    for name in sorted(models):
        yield f"| [{name}](#{name.lower()}) | served |" if name in OPERATIONS else f"| {name} | not served |"


def _operations() -> Iterator[str]:
    for name in sorted(OPERATIONS):
        served = OPERATIONS[name]
        model = service_model().operation_model(name)
        yield f"\n### {name}\n"
        if served.notes:
            yield f"{served.notes}\n"
        yield from _rows("request", _members(model.input_shape), _states(served))
        yield from _rows("answer", _members(model.output_shape), {k: ("absent", v) for k, v in served.absent.items()})
        nested = {**served.ignored, **served.refused, **served.absent}
        for path, why in sorted(nested.items()):
            if "." in path:
                state = "ignored" if path in served.ignored else "refused" if path in served.refused else "absent"
                yield f"- `{path}` {state}: {why}"


def _states(served: Served) -> Mapping[str, tuple[str, str]]:
    return {k: ("ignored", v) for k, v in served.ignored.items()} | {
        k: ("refused", v) for k, v in served.refused.items()
    }


def _rows(title: str, members: Mapping[str, Shape], states: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    if not members:
        yield f"The {title} has no members.\n"
        return
    yield f"| {title} | | |"
    yield "|---|---|---|"
    for name, shape in members.items():
        state, why = states.get(name, ("served", ""))
        yield f"| `{name}`{_kind(shape)} | {state} | {why} |"
    yield ""


def _kind(shape: Shape) -> str:
    structure = _structure_of(shape)
    return f" ([{structure.name}](#{structure.name.lower()}))" if structure is not None else ""


def _members(shape: Shape | None) -> Mapping[str, Shape]:
    members: Mapping[str, Shape] = shape.members if isinstance(shape, StructureShape) else {}
    return members


def _structure_of(shape: Shape) -> StructureShape | None:
    while isinstance(shape, ListShape | MapShape):
        shape = shape.member if isinstance(shape, ListShape) else shape.value
    return shape if isinstance(shape, StructureShape) else None


def structures() -> dict[str, StructureShape]:
    """Every structure inside the requests and answers of what is served, by name."""
    return structures_of("request") | structures_of("answer")


def structures_of(side: Literal["request", "answer"]) -> dict[str, StructureShape]:
    """Structures of one side."""
    found: dict[str, StructureShape] = {}
    for name in OPERATIONS:
        model = service_model().operation_model(name)
        waiting = [*_members(model.input_shape if side == "request" else model.output_shape).values()]
        while waiting:
            structure = _structure_of(waiting.pop())
            if structure is not None and structure.name not in found:
                found[structure.name] = structure
                waiting += [
                    member
                    for name, member in structure.members.items()
                    if f"{structure.name}.{name}" not in ABSENT_MEMBERS
                ]
    return found


def _structures() -> Iterator[str]:
    yield "\n## Structures\n\nWhat they hold is served wherever they are, but for what is listed as absent."
    for name, structure in sorted(structures().items()):
        yield f"\n### {name}\n"
        states = {
            member: ("absent", ABSENT_MEMBERS[f"{name}.{member}"])
            for member in structure.members
            if f"{name}.{member}" in ABSENT_MEMBERS
        }
        yield from _rows("member", structure.members, states)


if __name__ == "__main__":
    print(render(), end="")  # noqa: T201
