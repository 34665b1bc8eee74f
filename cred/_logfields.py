"""What the records of the logger "cred" carry beside their text. The names are those of the logger "pb".

Plain text in ASCII, whatever somebody else has chosen escaped; never secrets. See docs/observing.md.
"""

from __future__ import annotations


def fields(
    event: str,
    *,
    identity: str | None = "",
    service: str = "",
    mechanism: str = "",
    peer: str = "",
    error: BaseException | None = None,
) -> dict[str, object]:
    """Return the `extra=` of a record.

    Args:
        event: what has happened: one of those in docs/observing.md.
        error: of which only the type is told.
    """
    told = {
        "pb_event": event,
        "pb_peer": peer,
        "pb_identity": identity,
        "pb_service": service,
        "pb_mechanism": mechanism,
        "pb_error": "" if error is None else type(error).__name__,
    }
    return {
        name: ascii(value[:256])[1:-1] for name, value in told.items() if value and isinstance(value, str)
    }
