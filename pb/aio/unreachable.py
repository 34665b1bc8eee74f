"""Why an address could not be connected to or listened at: the system's word, made a sentence with a remedy.

Class and errno stay, so that who catches them notices nothing.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl

from pb.errors import Error, ProtocolError

from .url import Address

_WITH_HOST = {"pb", "pbs", "ws", "wss"}
_LOCKED_OUT = "refuses this address for a while, because logins failed"
_HOST = "no address is known for the host of"


def cannot_connect(error: OSError, address: Address) -> OSError:
    """Return what to raise instead of `error`; `error` itself where it says enough."""
    if isinstance(error, Error) or address.scheme not in _WITH_HOST:
        return error
    if isinstance(error, ssl.SSLError):
        return _tls_failed(error, address)
    if isinstance(error, socket.gaierror):
        return _no_host(error, address)
    code = error.errno or _common_errno(str(error))
    # Where what listens there has hung up before it said HELLO.
    perhaps = f"perhaps what listens at {address} does not speak this protocol, or "
    # Who is refused is told so by a server that has to make no handshake first (PB-A51).
    perhaps += "wants pbs://" if address.scheme == "pb" else _LOCKED_OUT
    if code is None:
        return type(error)(f"{str(error) or 'the connection was lost'}; {perhaps}")
    if code == errno.ECONNRESET:
        return OSError(code, f"{os.strerror(code)}; {perhaps}")
    if code == errno.ECONNREFUSED:
        return OSError(code, f"nobody listens at {address}; start the server first, or mend host and port")
    return OSError(code, f"{os.strerror(code)}: no connection to {address}")


def no_answer(address: Address, within_s: float, is_connected: bool) -> TimeoutError:
    """Return what to raise where a server has said nothing.

    Args:
        is_connected: whether it was reached, and only its HELLO has not come.
    """
    if not is_connected:
        return TimeoutError(f"no answer from {address} within {within_s:g} s")
    wants = ", or wants pbs://" if address.scheme == "pb" else ""
    return TimeoutError(
        f"no HELLO from {address} within {within_s:g} s, and nothing else; perhaps what listens there does "
        f"not speak this protocol{wants}"
    )


def unspoken(error: ProtocolError, address: Address) -> ProtocolError:
    """Return what to raise instead of `error`, where what answers breaks the protocol from its start."""
    return ProtocolError(f"{address} does not speak this protocol as it should: {error}", error.code)


def _common_errno(text: str) -> int | None:
    """Return the errno that all addresses of a host failed with; asyncio joins their texts only."""
    found = {piece.partition("]")[0] for piece in text.split("[Errno ")[1:]}
    if text.startswith("Multiple exceptions: ") and len(found) == 1:
        (code,) = found
        return int(code)
    return None


def _tls_failed(error: ssl.SSLError, address: Address) -> OSError:
    if isinstance(error, ssl.SSLCertVerificationError):
        if address.fingerprint is not None:
            return error  # says both fingerprints
        told: ssl.SSLError = ssl.SSLCertVerificationError(
            error.errno,
            f"no authority known here vouches for the key of {address} ({error.verify_message});"
            " use the URL with its fingerprint, pbs://FINGERPRINT@host:port, as `pb keygen` shows it",
        )
    elif getattr(error, "reason", None) == "WRONG_VERSION_NUMBER":
        text = f"what answers at {address} does not speak TLS; is it a pb:// server?"
        told = ssl.SSLError(error.errno, text)
    else:
        return error
    for name in ("library", "reason", "verify_code", "verify_message"):
        if hasattr(error, name):
            setattr(told, name, getattr(error, name))
    return told


def _no_host(error: socket.gaierror, address: Address) -> OSError:
    return socket.gaierror(error.errno, f"{error.strerror}: {_HOST} {address}; check its spelling")


def cannot_listen(error: OSError, address: Address) -> OSError:
    """Return what to raise instead of `error`; `error` itself where it says enough."""
    if error.filename is not None:  # the key, not the address
        return error
    if isinstance(error, socket.gaierror):
        return _no_host(error, address)
    told = None
    if address.scheme in _WITH_HOST:
        told = {
            errno.EADDRINUSE: f"{address} is in use; stop what listens there, or take another port (0: any)",
            errno.EADDRNOTAVAIL: f"{address} is no address of this machine; 127.0.0.1 listens to this machine"
            " only, 0.0.0.0 to all",
            errno.EACCES: f"may not listen at {address}; ports below 1024 are reserved, take a higher one",
        }.get(error.errno or 0)
    elif address.scheme == "pb+unix" and error.errno == errno.ENOENT:
        told = f"no directory for the socket {address}; make it first"
    return error if told is None else OSError(error.errno, told)
