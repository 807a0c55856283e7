"""A chart linted and rendered by Helm's own engine, for tests: reads a question as JSON on standard input, prints the answer as JSON.

A process of its own, since the engine is a Go library that would stay in the tests' process. Run with the engine's folder on ``PYTHONPATH``.
"""

from __future__ import annotations

import json
import sys

import helm_python


def main() -> None:
    asked = json.load(sys.stdin)
    answer: dict[str, object] = {}
    try:
        with helm_python.Chart.load(asked["chart"]) as chart:
            chart.validate_schema(asked["values"])
            answer["rendered"] = chart.render(asked["values"], name="demo", namespace="video")
        answer["lint"] = helm_python.lint(asked["chart"], asked["values"], strict=True)
    except helm_python.HelmError as error:
        answer["error"] = str(error)
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
