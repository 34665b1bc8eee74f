"""Tell systemd how the service is doing, where it asked to be told. See sd_notify(3)."""

from __future__ import annotations

import logging
import os
import socket

from pb.logfields import fields

log = logging.getLogger("pb")


def notify(state: str) -> bool:
    """Send a state such as `"READY=1"` to $NOTIFY_SOCKET; return whether there was somebody to tell.

    Never raises: a service is not to fail because nobody listens to how well it does.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path or not hasattr(socket, "AF_UNIX"):
        return False
    address = "\0" + path[1:] if path.startswith("@") else path  # an abstract socket
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.connect(address)
            to.sendall(state.encode())
    except OSError as error:
        log.warning(
            "cannot tell %s to $NOTIFY_SOCKET: %s", state, error, extra=fields("notify.failed", error=error)
        )
        return False
    return True
