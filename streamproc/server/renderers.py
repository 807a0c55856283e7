"""The forms of events, by name: the one place where both are known."""

from __future__ import annotations

from collections.abc import Mapping

from streamproc.aws.results import render_aws
from streamproc.contracts import Renderer
from streamproc.plain import render_plain

RENDERERS: Mapping[str, Renderer] = {"plain": render_plain, "aws": render_aws}
