"""What systemd wants to hear, when it listens (``$NOTIFY_SOCKET``)."""

from __future__ import annotations

import asyncio
import os
import socket
import time


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


def reloading() -> str:
    """For ``notify``: another ``READY=1`` follows, of this process or of one that takes its place under the same id.

    The time tells systemd to which reload the message belongs (sd_notify(3), ``RELOADING=1``).
    """
    return f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


async def keep_watchdog() -> None:
    """Twice in each interval that systemd asked for, for ever; a hung loop does not, and is restarted."""
    interval = os.environ.get("WATCHDOG_USEC")
    while interval and interval.isdigit():
        notify("WATCHDOG=1")
        await asyncio.sleep(int(interval) / 2_000_000)
