"""``pb run``: start the application of a file and stay in the foreground until told to stop.

Going into the background, changing users, restarting and rotating logs are left to systemd or a container;
docs/running.md has a unit.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jelly._article import a
from pb.logfields import fields

if TYPE_CHECKING:
    import pb

__all__ = ["add_arguments", "run"]

LEVELS: Final = ("debug", "info", "warning", "error")
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
# So dataclasses and pickle find it; no name that the file could want to import.
MODULE: Final = "pb_run_file"
THREADS: Final = "pb-run-handler"
# What threads without work take to notice that there will be none.
IDLE_THREADS_S: Final = 1.0

log = logging.getLogger("pb")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("file", metavar="FILE.py", help="defines `application = pb.Application(...)`")
    parser.add_argument(
        "--store", metavar="PATH", help="SQLite file of identities and state (default: what the file says)"
    )
    parser.add_argument(
        "--listen",
        metavar="URL",
        action="append",
        help="listen here, not where the file says, with the options of its first listener of that scheme, "
        "insecure= excepted; may be given several times",
    )
    parser.add_argument(
        "--tls", metavar="PEM", help="key and certificate for --listen pbs:// or wss://, of pb keygen"
    )
    parser.add_argument(
        "--log-level", choices=LEVELS, help="what to log (default: info; or what the file sets up)"
    )
    parser.add_argument(
        "--drain",
        type=_seconds,
        metavar="SECONDS",
        help="how long running calls may take to finish when told to stop (default: 30)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the application; return 0 when it was told to stop, or 1 with the reason on stderr."""
    import cred
    import pb

    try:
        application = load(args.file)
        _set_up_logs(args.log_level)
        if args.store is not None:
            application.use_store(args.store)
        if args.listen is not None:
            said = application.listeners
            application.listeners = [(url, options_for(url, said, args.tls)) for url in args.listen]
        elif args.tls is not None:
            raise ValueError("--tls goes with --listen pbs://... or wss://...")
        if not application.listeners:
            raise ValueError(
                f"{args.file} listens nowhere: call application.listen(url), or give --listen URL"
            )
        return asyncio.run(_serve(application, args.drain))
    except (cred.CredError, OSError, ValueError, RuntimeError, pb.Error) as error:
        print(f"pb run: {error}", file=sys.stderr)
        return 1


def _set_up_logs(level: str | None) -> None:
    """Log to stderr, unless the file has said where logs go; after it was executed, so that it can.

    Args:
        level: the least that is logged; None for "info", or for what the file says.
    """
    root = logging.getLogger()
    is_set_up = bool(root.handlers)
    if not is_set_up:
        stderr = logging.StreamHandler()
        stderr.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        stderr.addFilter(_is_news)
        root.addHandler(stderr)
    if level is not None or not is_set_up:
        root.setLevel((level or "info").upper())


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a record says what is not said elsewhere.

    Where it listens is said on stdout, for whoever starts it; and a logger that the file has given a handler
    of its own writes by that.
    """
    if getattr(record, "pb_event", "") == "server.listening":
        return False
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None and logger.parent is not None:
        if any(not isinstance(each, logging.NullHandler) for each in logger.handlers):
            return False
        logger = logger.parent
    return True


def load(path: str) -> pb.Application:
    """Execute a file and return what it calls `application`.

    Imports in it look into its own directory first, as those of `python FILE` do. If that is a package, one
    with an `__init__.py`, they look where the package is, and may be relative.

    Raises:
        ValueError: there is no application in it; its own error has been printed if there was one.
    """
    from pb.auth.application import Application

    try:
        source = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    module = types.ModuleType(MODULE)
    module.__file__ = os.path.abspath(path)
    sys.modules[MODULE] = module
    directory, module.__package__ = _package_of(module.__file__)
    sys.path.insert(0, directory)
    try:
        exec(compile(source, module.__file__, "exec"), module.__dict__)
    except Exception as error:
        # From the file on: the frames before it are ours.
        trace = error.__traceback__.tb_next if error.__traceback__ is not None else None
        traceback.print_exception(type(error), error, trace)
        raise ValueError(f"{path} could not be executed; nothing was started") from None
    found: Any = module.__dict__.get("application")
    if not isinstance(found, Application):
        what = (
            "no name `application`"
            if found is None
            else f"an `application` that is {a(type(found).__name__)}"
        )
        raise ValueError(f"{path} defines {what}; expected application = pb.Application(...)")
    return found


def _package_of(file: str) -> tuple[str, str]:
    """Return where to look for imports of a file, and the name of the package it is in or ""."""
    names: list[str] = []
    directory = os.path.dirname(file)
    while os.path.exists(os.path.join(directory, "__init__.py")):
        directory, name = os.path.split(directory)
        names.insert(0, name)
    return directory, ".".join(names)


async def _serve(application: pb.Application, drain_s: float | None) -> int:
    told = asyncio.Event()
    threads = ThreadPoolExecutor(thread_name_prefix=THREADS)
    asyncio.get_running_loop().set_default_executor(threads)
    before = _on_signals(told)
    try:
        async with application.running(drain_s=drain_s) as servers:
            for server in servers:
                print(f"{application.name} listens at {server.url}", flush=True)
            await told.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    _leave_threads(threads)
    return 0


def _on_signals(told: asyncio.Event) -> dict[int, Any]:
    """Set the event at the first signal to stop; end the process at the second. Returns the handlers before.

    Not by the loop: a handler that blocks it must not keep the second signal from being heard.
    """
    loop = asyncio.get_running_loop()
    heard: list[int] = []

    def hear(number: int, frame: object) -> None:
        heard.append(number)
        if len(heard) > 1:
            os._exit(128 + number)
        if log.isEnabledFor(logging.INFO):  # which itself is not to be used in a signal handler
            os.write(2, b"pb run: told to stop; once more, and it ends at once\n")
        loop.call_soon_threadsafe(told.set)

    return {number: signal.signal(number, hear) for number in STOP_SIGNALS}


def _leave_threads(threads: ThreadPoolExecutor) -> None:
    """End the process here if a handler still sits in a thread.

    Its call was waited for and given up. Python would wait on, and nobody could tell a server that was told
    to stop from one that hangs.
    """
    threads.shutdown(wait=False, cancel_futures=True)
    until = time.monotonic() + IDLE_THREADS_S
    ours = [thread for thread in threading.enumerate() if thread.name.startswith(THREADS)]
    for thread in ours:
        thread.join(max(0.0, until - time.monotonic()))
    stuck = sum(thread.is_alive() for thread in ours)
    if stuck:
        log.warning(
            "%d handlers in threads have not ended; the process ends without them",
            stuck,
            extra=fields("threads.left"),
        )
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def options_for(url: str, listeners: Sequence[tuple[str, dict[str, Any]]], tls: str | None) -> dict[str, Any]:
    """Return the options for a URL of --listen: those of the file, whose author knows what is served.

    Not `insecure`: that was said of another address, which perhaps nobody else could reach.

    Args:
        listeners: what the file says.
        tls: of the command line, which goes before.
    """
    scheme = url.partition(":")[0]
    found = next((options for said, options in listeners if said.partition(":")[0] == scheme), {})
    options = {name: value for name, value in found.items() if name != "insecure"}
    if tls is not None and scheme in ("pbs", "wss"):
        options["tls"] = tls
    return options


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return seconds
