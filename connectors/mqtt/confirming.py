"""An MQTT client that also hears a broker say no."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from aiomqtt import Client
from paho.mqtt.reasoncodes import ReasonCode


class NotTaken(Exception):
    """The broker answered that it does not take the message: this user may not publish there, its quota is used up."""


class ConfirmingClient(Client):
    """aiomqtt takes every answer to a publication for a confirmation; in MQTT 5 it may as well be a refusal (3.4.2.1: 0x80 and above).

    ``publish`` raises NotTaken then.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._refusals: dict[int, str] = {}
        """Reasons by packet id, of publications that are still waited for."""
        super().__init__(*arguments, **options)

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: ReasonCode, properties: Any) -> None:
        if reason_code.is_failure and mid in self._pending_publishes:
            self._refusals[mid] = str(reason_code)
        super()._on_publish(client, userdata, mid, reason_code, properties)

    @contextlib.contextmanager
    def _pending_call(self, mid: int, value: Any, pending_dict: dict[int, Any]) -> Iterator[None]:
        with super()._pending_call(mid, value, pending_dict):
            try:
                yield
            finally:
                refusal = self._refusals.pop(mid, None) if pending_dict is self._pending_publishes else None
        if refusal is not None:
            raise NotTaken(refusal)
