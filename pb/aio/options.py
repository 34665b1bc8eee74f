"""What `serve`, `open_connection` and `get_object_at` are given, checked where it was given."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

import jelly
from jelly._article import a
from pb.interfaces import IRootFactory
from pb.limits import Limits
from pb.watching.watch import hooks_of

from .secure import is_loopback
from .url import Address, BadURL

if TYPE_CHECKING:
    import os
    import ssl

    from .web import Web


class ConnectOptions(TypedDict, total=False):
    """The options of `open_connection` but `reconnect`, for type checkers."""

    root: Any
    registry: jelly.Registry | None
    limits: Limits | None
    tls: ssl.SSLContext | None
    timeout: float | None
    insecure: bool
    debug: bool
    proxy: bool
    hooks: Any


class ServeOptions(TypedDict, total=False):
    """The options of `serve`, for type checkers."""

    registry: jelly.Registry | None
    limits: Limits | None
    tls: ssl.SSLContext | str | os.PathLike[str] | None
    web: Web | None
    insecure: bool
    debug: bool
    proxy: bool
    hooks: Any


def listener_address(url: str) -> Address:
    """Read the URL of a listener.

    Raises:
        BadURL: it is none, or it names an object behind a listener.
    """
    address = Address.parse(url)
    if address.name is not None:
        raise BadURL(
            "the URL names an object behind the listener; pb.get_object_at takes it, or leave the name out "
            "and give it to connection.get_object"
        )
    return address


def split_url(url: str) -> tuple[str, str | None]:
    """Return the URL of a listener, and the name behind it; None if there is none. Raises BadURL."""
    address = Address.parse(url)
    return str(replace(address, name=None)), address.name


def check_registry(registry: object) -> None:
    """Refuse what is no registry where it was given, not when the first connection is made.

    Raises:
        TypeError: it is something else.
    """
    if registry is not None and not isinstance(registry, jelly.Registry):
        what = "the class itself" if registry is jelly.Registry else f"{a(type(registry).__name__)}"
        raise TypeError(f"registry= is {what}; a pb.Registry() is expected")


def check_limits(limits: object) -> None:
    """Refuse what are no limits where they were given.

    Raises:
        TypeError: they are something else.
    """
    if limits is not None and not isinstance(limits, Limits):
        what = "the class itself" if limits is Limits else f"{a(type(limits).__name__)}"
        raise TypeError(f"limits= is {what}; a pb.Limits(...) is expected, such as pb.Limits(max_calls=100)")


def check_hooks(hooks: object) -> None:
    """Refuse what are no hooks where they were given.

    Raises:
        TypeError: they are something else.
    """
    if hooks is not None:
        hooks_of(hooks)


def broker_kind(plain: Any, hooks: object) -> Any:
    """Return what makes the broker of a connection: a plain one, or one that tells hooks what happens."""
    if hooks is None:
        return plain
    from pb.watching.watching import kind_of_broker  # of no use to those who have no hooks

    return kind_of_broker(plain, hooks)


def check_root(root: object) -> None:
    """Refuse what can be no root where it was given.

    Raises:
        TypeError: it is neither an object to publish nor a callable that takes a connection.
    """
    if isinstance(root, jelly.ByReference) or IRootFactory.providedBy(root):
        return
    if not callable(root):
        raise TypeError(
            f"the root is {a(type(root).__name__)}; give a pb.Root(), or a function that makes one"
        )
    try:
        inspect.signature(root).bind(None)
    except TypeError:
        name = getattr(root, "__name__", type(root).__name__)
        what = f"give an instance: {name}()" if isinstance(root, type) else "give it one parameter"
        raise TypeError(f"the root is {name}, which does not take a connection; {what}") from None
    except ValueError:
        pass  # it does not tell; the first connection will


def check_privacy(address: Address) -> None:
    """Refuse to ask for secrets where others may listen.

    Raises:
        BadURL: other machines may connect, without TLS.
    """
    if address.scheme in ("pb", "ws") and not is_loopback(address.host):
        raise BadURL(
            f"logins at {address} could be listened to; listen at pbs:// or wss:// with tls=,"
            " or at 127.0.0.1, or spell out insecure=True"
        )
