"""``cluster``: the nodes that share processors, and taking one out of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streamproc.cli.control import DEFAULT_URL, Json, Url, call
from streamproc.cli.output import errors_said, put, put_json, say
from streamproc.core.errors import NotFound

app = typer.Typer(help="Nodes that share processors.", no_args_is_help=True)


@app.command()
def status(url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """The nodes, what each runs, and what is on its way from one to another."""
    with errors_said():
        found = call(url, "GET", "/api/cluster")
        if as_json:
            put_json(found)
            return
        width = max(len(node["id"]) for node in found["nodes"])
        for node in found["nodes"]:
            put(f"{node['id']:{width}}  {_standing(node)}".rstrip())
            if node["alive"] and node.get("faces"):
                put(f"{'':{width}}  faces are not shared: {node['faces']}")
            if node["alive"] and node.get("pictures"):
                put(f"{'':{width}}  pictures: {node['pictures']}")
        put(f"{found['slots']} slots, {found['moving']} moving")


@app.command()
def drain(
    node: Annotated[str | None, typer.Argument(help="The node's id; left out: the one that is asked.")] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Hand everything of a node over to the others, sessions open; returns when it is done. The node joins again when it is restarted."""
    with errors_said():
        try:
            found = call(url, "POST", "/api/cluster/drain", {"node": node})
        except NotFound:
            if node is not None:
                raise
            say(f"{url} is in no cluster: nothing to hand over")
            return
        if as_json:
            put_json(found)
        else:
            say(f"{node or found['node']} is drained")


def _standing(node: dict[str, Any]) -> str:
    if not node["alive"]:
        return "does not answer"
    names = ", ".join(node["processors"])
    return f"{node['slots']:3} slots  {node['address'] or '(no address)'}  {names}"
