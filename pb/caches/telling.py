"""Telling the followers of a Tracked object of a change, each as much as it may see.

Knows nothing of how that is found out. Spec: spec/8-tracked.md.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from jelly import SCALARS, Unjellyable

from ..errors import Error
from ..logfields import fields
from .update import Update

if TYPE_CHECKING:
    from .tracking import Follower

log = logging.getLogger("pb")


class Telling:
    """One update, and those it is for."""

    def __init__(self, followers: list[Follower], method: str, *args: Any) -> None:
        self.followers = followers
        self.method = method
        self.field = args[0]
        self.args = args
        self.update = Update(method, args)


def send(owner: Any, tellings: list[Telling]) -> None:
    """Send updates, and give up the replicas that cannot be told.

    Raises:
        Unjellyable, TooLarge: what has changed cannot be sent at all. Nobody was told.
    """
    is_told = False
    failed: list[tuple[Telling, Follower, BaseException]] = []
    for telling in tellings:
        for follower in telling.followers:
            if not follower.hears:  # a rule that was asked has ended it, or a hook of what is sent
                continue
            try:
                telling.update.send(follower.handle, follower.handle.scope)
            except BaseException as error:  # a CancelledError too: it must not undo what some were told
                failed.append((telling, follower, error))
            else:
                is_told = True
    if failed and not is_told and not any(_is_due_to_peer(*failure) for failure in failed):
        telling, _, why = failed[0]
        raise _in_terms_of(owner, telling, why) if isinstance(why, Unjellyable) and why.steps[1:] else why
    for telling in tellings:
        for follower in telling.followers:
            if telling.method == "hide":
                follower.shown.discard(telling.field)
            elif follower.has_rule(telling.field):
                follower.shown.add(telling.field)
    for _, follower, why in failed:
        # What some have been told stands, and no peer may keep an owner from changing.
        is_known = isinstance(why, Unjellyable | Error)
        if follower.handle.scope.tables.may_log(logging.WARNING, "replica.dropped"):
            log.warning(
                "a replica of a %s is given up: %s",
                type(owner).__name__,
                why,
                exc_info=None if is_known else why,
                extra=fields(
                    "replica.dropped",
                    scope=follower.handle.scope.direct,
                    row=follower.handle.export,
                    error=why,
                ),
            )
        export = follower.handle.export
        try:
            export.scope.broker.holdings.revoke(export)
        except Exception:
            log.exception(
                "giving up a replica of a %s failed",
                type(owner).__name__,
                extra=fields("fault", scope=export.scope.direct),
            )


def _in_terms_of(owner: Any, telling: Telling, error: Unjellyable) -> Unjellyable:
    """Return an error that names the place in the object, and not in the update that tells of the change."""
    place = f"{type(owner).__name__}.{telling.field}"
    steps = error.steps[2:]  # the first two say which argument of the update
    if telling.method == "splice" and steps and steps[0][1:-1].isdecimal():
        place += f"[{telling.args[1] + int(steps[0][1:-1])}]"
        steps = steps[1:]
    elif telling.method == "put" and error.steps[1] == "[2]":
        key = telling.args[1]
        place += f"[{key!r:.80}]" if type(key) in SCALARS else f"[<{type(key).__name__}>]"
    elif telling.method == "put":
        place = f"a key of {place}"
    said = type(error)(f"{place}{''.join(steps)} {error.problem}")
    said.__cause__ = error.__cause__
    return said


def _is_due_to_peer(telling: Telling, follower: Follower, error: BaseException) -> bool:
    """Tell whether a peer that takes as much as this side could be sent what this one could not."""
    broker = follower.handle.scope.broker
    try:
        payload = telling.update.payload(broker.codec.encoder(broker.limits, follower.handle.encoder.unknown))
    except BaseException:
        return False
    return payload is not None or isinstance(error, Error) or not isinstance(error, Unjellyable)
