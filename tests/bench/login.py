"""What a login costs, and what its time tells: ``python -m tests.bench.login [--quick] [--json]``.

* CPU of the server for a SCRAM login without TLS: a process of its own is asked what it has used, over
  loopback TCP, with a new connection for each login, without the login, with the logins on a connection that
  stands, one after the other, and on ten such at once, as after a restart. The client has derived its keys
  before. On uvloop where it is installed, as in the other tables. Short rounds of all of them alternate, and
  the cheapest of each is reported: what else runs on the processor only ever adds. Beside them stands what
  two calls of the floor (contestants/floor.py) take of its server: a login is two calls, and cannot take
  less. And the same in this process, without what the kernel takes for its sockets, which differs between
  machines by a factor of fifty.
* Whether a wrong password and an unknown name look the same: the server's part of each refusal, alternating,
  without what it waits on purpose; by CPU time with identities in memory, by the clock with SQLite. What
  differs is the median over pairs that were made right after each other: what else the machine does slows
  both of a pair, or is an outlier. And the frames it sends, which must be the same in number and size.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

import cred
import pb
from tests.bench.contestants._asyncio import new_loop
from tests.bench.contestants.floor import Floor, Root

try:
    import uvloop
except ImportError:
    uvloop = None

LOOP = "asyncio" if uvloop is None else "uvloop"
PASSWORD = "the one of the bench"
WRONG = "a wrong one"
ITERATIONS = 4096
# Logins of a round. In so short ones there is one that nothing else has disturbed.
OF_ROUND = 20
AT_ONCE = 10
# Of each refusal: with fewer pairs what is left of the noise is more than is looked for.
REFUSALS = 1000
CPU_US = 400.0
DIFFERENCE = 0.02

Half = Callable[[str, str], Awaitable[tuple[float, list[int]]]]


def record() -> cred.IdentityRecord:
    """Return the one identity there is. Its keyring is long: to read it for the known only would show."""
    return cred.IdentityRecord.new(
        "known",
        cred.PasswordHash.of(PASSWORD, iterations=ITERATIONS),
        keys=[(f"service {number}", "known") for number in range(50)],
        credentials=[cred.Credential.of_uid(number) for number in range(5)],
    )


async def serve() -> None:
    """Be the server: print the URL, and for each line read how much CPU has been used."""
    store = cred.MemoryStore()
    await store.add(record())
    async with pb.serve(pb.AuthRoot(cred.Authorizer(store)), "pb://127.0.0.1:0") as server:
        await tell_cpu(server.url)


async def serve_floor() -> None:
    """Be the server of the floor."""
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: Floor(Root), "127.0.0.1", 0) as server:
        await tell_cpu(str(server.sockets[0].getsockname()[1]))


async def tell_cpu(address: str) -> None:
    """Print where the server is, and for each line that is read how much CPU this process has used."""
    loop = asyncio.get_running_loop()
    print(address, flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(time.process_time_ns(), flush=True)


class Server:
    """A server in a process of its own.

    Args:
        option: says which one.
    """

    def __init__(self, option: str = "--serve") -> None:
        self.option = option

    def __enter__(self) -> Server:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.login", self.option],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self._line()
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.communicate()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def cpu_ns(self) -> int:
        """Return the CPU it has used."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self._line())


async def cpu_of_logins(count: int) -> dict[str, float]:
    """Return microseconds of the servers' CPU.

    For a connection with a login, one without, a login alone, and for two calls of the floor.
    """
    credentials = cred.Password("known", PASSWORD)
    async with AsyncExitStack() as stack:
        server, least = stack.enter_context(Server()), stack.enter_context(Server("--serve-floor"))
        standing = [await stack.enter_async_context(pb.open_connection(server.url)) for _ in range(AT_ONCE)]
        loop = asyncio.get_running_loop()
        transport, floor = await loop.create_connection(lambda: Floor(Root), "127.0.0.1", int(least.url))

        async def on_new(number: int) -> None:
            for _ in range(number):
                async with pb.open_connection(server.url) as connection:
                    await connection.login(credentials=credentials)

        async def bare(number: int) -> None:
            for _ in range(number):
                async with pb.open_connection(server.url):
                    pass

        async def on_one(number: int) -> None:
            for _ in range(number):
                await standing[0].login(credentials=credentials)

        async def at_once(number: int) -> None:
            for _ in range(number // AT_ONCE):
                await asyncio.gather(*[each.login(credentials=credentials) for each in standing])

        async def of_floor(number: int) -> None:
            for _ in range(2 * number):
                await floor.call(0, "echo", PASSWORD)

        async def nothing(number: int) -> None:
            pass

        works = {
            "asking": (server, nothing),
            "connection with login": (server, on_new),
            "connection alone": (server, bare),
            "login": (server, on_one),
            "logins at once": (server, at_once),
            "two calls of the floor": (least, of_floor),
        }
        found: dict[str, list[float]] = {name: [] for name in works}
        for turn in range(-1, count // OF_ROUND):
            for name, (asked, work) in works.items():
                before = asked.cpu_ns()
                await work(OF_ROUND)
                if turn >= 0:
                    found[name].append((asked.cpu_ns() - before) / OF_ROUND / 1000)
        transport.close()
    asking = min(found.pop("asking"))  # what it has used costs the server something too
    return {name: min(spent) - asking for name, spent in found.items()}


def in_memory() -> Half:
    """Return what times one refusal by the server's CPU, HELLO to error, and the sizes of its frames."""
    from tests.pb.auth.doors import Knock, Told, bodies, done, number

    store = cred.MemoryStore()
    done(store.add(record()))
    authorizer = cred.Authorizer(store)

    async def refusal(user: str, password: str) -> tuple[float, list[int]]:
        knock = Knock(pb.AuthRoot(authorizer))
        spent = timed_input(knock.host)
        prover = knock.scram(user, password, cache=CACHES[user])
        step = knock.challenge(prover)
        try:
            knock.call(number(step["next"]), "respond", prover.respond(step["data"]))
        except Told:
            return sum(spent) / 1000, [len(body) for body in bodies(knock.wire)]
        raise AssertionError("it was let in")

    return refusal


def cpu_in_memory(chunks: int) -> float:
    """Return microseconds of CPU for a login that succeeds, from its bytes to the bytes of the answers.

    The least of many means of 50: what else runs on the processor only ever adds.
    """
    from tests.pb.auth.doors import Knock, done

    store = cred.MemoryStore()
    done(store.add(record()))
    root, cache = pb.AuthRoot(cred.Authorizer(store)), cred.KeyCache()

    def chunk(count: int) -> float:
        knock = Knock(root)
        spent = timed_input(knock.host)
        for _ in range(count):
            knock.inbox.clear()
            knock.log_in(knock.scram("known", PASSWORD, cache=cache))
        return sum(spent) / count / 1000

    return min(chunk(50) for _ in range(chunks))


def timed_input(host: Any) -> list[int]:
    """Let a server note the CPU time, in ns, of all that it does with what comes; return these notes."""
    honest, spent = host.input, []

    def timed(data: Any, step: int | None = None) -> None:
        began = time.process_time_ns()
        honest(data, step)
        while host.tasks:
            host.run_tasks()
        spent.append(time.process_time_ns() - began)

    host.input = timed
    return spent


# PBKDF2 is the client's part and is done once for each name.
CACHES = {"known": cred.KeyCache(), "nobod": cred.KeyCache()}


def in_sqlite(path: Path) -> Half:
    """Return what times one refusal by the clock, with the identities in a file."""
    from cred.stores.sqlite import SqliteStore

    store = SqliteStore(path)
    authorizer = cred.Authorizer(store)
    channel = cred.Channel(bytes(32))

    async def refusal(user: str, password: str) -> tuple[float, list[int]]:
        if await store.get("known") is None:
            await store.add(record())
        prover = cred.ScramClient(user, password, hello_hash=bytes(32), cache=CACHES[user])
        login = authorizer.begin_login(prover.mechanism, channel)
        first = prover.start()
        began = time.perf_counter_ns()
        step = await login.receive(first)
        spent = time.perf_counter_ns() - began
        answer = prover.respond(step.data)
        began = time.perf_counter_ns()
        try:
            await login.receive(answer)
        except cred.LoginFailed:
            return (spent + time.perf_counter_ns() - began) / 1000, [len(step.data)]
        raise AssertionError("it was let in")

    refusal.store = store  # type: ignore[attr-defined]
    return refusal


async def compare(refusal: Half, count: int) -> dict[str, Any]:
    """Return the medians of both refusals in microseconds, how far pairs differ, and whether the sizes do."""
    times: dict[str, list[float]] = {"known": [], "nobod": []}
    sizes: dict[str, list[int]] = {}
    for turn in range(-50, count):
        # In turn, and each first as often as second: what drifts, drifts for both.
        for user in ("known", "nobod") if turn % 2 else ("nobod", "known"):
            spent, frames = await refusal(user, WRONG)
            assert sizes.setdefault(user, frames) == frames, "a refusal has one size"
            if turn >= 0:
                times[user].append(spent)
    known, unknown = median(times["known"]), median(times["nobod"])
    return {
        "wrong_password_us": known,
        "unknown_name_us": unknown,
        "difference": abs(median(map(float.__sub__, times["known"], times["nobod"]))) / known,
        "same_frames": sizes["known"] == sizes["nobod"],
    }


async def measure(count: int) -> dict[str, Any]:
    """Return all that this bench finds out."""
    found: dict[str, Any] = {"loop": LOOP, "cpu_us": await cpu_of_logins(count), "refusals": {}}
    found["cpu_us"]["in memory"] = cpu_in_memory(max(10, count // 25))
    found["refusals"]["memory"] = await compare(in_memory(), REFUSALS)
    with tempfile.TemporaryDirectory() as folder:
        refusal = in_sqlite(Path(folder) / "identities.db")
        try:
            found["refusals"]["sqlite"] = await compare(refusal, REFUSALS)
        finally:
            await refusal.store.close()  # type: ignore[attr-defined]
    return found


def report(found: dict[str, Any]) -> tuple[str, bool]:
    """Return figures and targets as a table, and whether all are kept."""
    lines = []
    kept = True

    def line(what: str, figure: str, target: str, is_kept: bool) -> None:
        nonlocal kept
        kept = kept and is_kept
        lines.append(f"{what:<58}{figure:>12}{target:>12}  {'kept' if is_kept else 'MISSED'}")

    what = f"login, on {found['loop']}"
    lines.append(f"{what:<58}{'measured':>12}{'at most':>12}")
    spent = found["cpu_us"]
    for name in ("two calls of the floor", "connection with login", "connection alone"):
        lines.append(f"{'server CPU, ' + name:<58}{spent[name]:>9.0f} us")
    apart = spent["connection with login"] - spent["connection alone"]
    for what, cpu in (
        ("the difference: one SCRAM login", apart),
        ("SCRAM logins on a connection that stands", spent["login"]),
        (f"SCRAM logins on {AT_ONCE} such at once", spent["logins at once"]),
        ("SCRAM login without sockets", spent["in memory"]),
    ):
        line(f"server CPU, {what}", f"{cpu:.0f} us", f"{CPU_US:.0f} us", cpu <= CPU_US)
    for store, one in found["refusals"].items():
        pair = f"{one['wrong_password_us']:.1f} and {one['unknown_name_us']:.1f} us"
        far = one["difference"]
        line(
            f"{store}: wrong password, unknown name: {pair}",
            f"{far:.2%}",
            f"{DIFFERENCE:.0%}",
            far < DIFFERENCE,
        )
        line(
            f"{store}: frames of other number or size",
            str(not one["same_frames"]),
            "False",
            one["same_frames"],
        )
    return "\n".join(lines), kept


def main() -> int:
    """Measure and print; the exit status is 1 where a target is missed and --check was given."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.login")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve-floor", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="200 logins instead of 1,000")
    parser.add_argument("--check", action="store_true", help="exit status 1 where a target is missed")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=lambda: new_loop(LOOP)) as runner:
        if options.serve or options.serve_floor:
            runner.run(serve() if options.serve else serve_floor())
            return 0
        found = runner.run(measure(200 if options.quick else 1000))
    text, kept = report(found)
    print(json.dumps(found, indent=1) if options.json else text)
    return 1 if options.check and not kept else 0


if __name__ == "__main__":
    sys.exit(main())
