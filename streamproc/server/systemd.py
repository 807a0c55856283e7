"""What systemd wants to hear, when it listens (``$NOTIFY_SOCKET``)."""

from __future__ import annotations

import asyncio
import os
import socket


def notify(state: str) -> None:
    """Send e.g. ``READY=1``. Without a listener nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        try:
            channel.sendto(state.encode(), address)
        except OSError:
            return  # systemd is gone; nobody to tell


async def keep_watchdog(stop: asyncio.Event) -> None:
    """Twice in each interval that systemd asked for; a hung loop does not, and is restarted."""
    interval = os.environ.get("WATCHDOG_USEC")
    if not interval or not interval.isdigit():
        return
    while not stop.is_set():
        notify("WATCHDOG=1")
        try:
            await asyncio.wait_for(stop.wait(), int(interval) / 2_000_000)
        except TimeoutError:
            continue
