"""``GET /api/node``: how the node itself stands, for whoever looks at all of its cameras."""

from __future__ import annotations

import shutil
import socket
from typing import Any

from aiohttp import web

from streamproc import __version__, metrics
from streamproc.live.supervisor import Supervisor
from streamproc.threads import CONTROL
from streamproc.web.answers import answered
from streamproc.web.guard import Guard


class NodeRoutes:
    """Handlers over one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def mount(self, app: web.Application, guard: Guard) -> None:
        app.router.add_get("/api/node", answered(guard, self.show))

    async def show(self, request: web.Request) -> Any:
        """``{"name":, "version":, "cpu":, "cpu_target":, "eased": [...], "waiting":, "disk": {"free":, "total":}}``; percent, deliveries, bytes."""
        supervisor = self._supervisor
        disk = await CONTROL.run(shutil.disk_usage, supervisor.database.data_dir)
        (cpu,) = (sample.value for metric in metrics.CPU_SHARE.collect() for sample in metric.samples)
        waiting = sum(sample.value for metric in metrics.OUTBOX_WAITING.collect() for sample in metric.samples)
        return {
            "name": socket.gethostname(),
            "version": __version__,
            "cpu": round(100 * cpu),
            "cpu_target": supervisor.node.cpu_target or None,
            "eased": [step.value for step in supervisor.runtime.governor.steps],
            "waiting": round(waiting),
            "disk": {"free": disk.free, "total": disk.total},
        }
