"""What both simulators share: a fast HTTP server, a history of requests, faults that are scripted
or come by chance, and a way to be a user by hand."""

import argparse
import asyncio
import json
import math
import random
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from aiohttp import web

Json = dict[str, Any]
Fault = int | Literal["lost", "reset", "garbled", "slow", "broken"]
"""A status code answered without carrying the request out; an answer that never comes after
carrying it out; a connection cut before that; a 200 nobody can read; an answer that takes its
time; a 500 after carrying it out."""
SEND_PATHS = ("/message/push", "/message/multicast", "/message/reply", "/sendMessage", "/sendPhoto")


class Temper:
    """How unwell a platform is: shares of its requests, and a median latency in seconds."""

    def __init__(
        self,
        seed: int = 0,
        *,
        throttled: float = 0.0,
        broken: float = 0.0,
        lost: float = 0.0,
        latency: float = 0.0,
    ) -> None:
        self.dice = random.Random(seed)
        self.throttled, self.broken, self.lost = throttled, broken, lost
        self.latency = latency
        self.well = False
        """Set when it is over; answers still take their time."""

    def fault(self, path: str) -> Fault | None:
        """What befalls this request. Half of what breaks has been carried out before."""
        if self.well or not path.endswith(SEND_PATHS):
            return None
        roll = self.dice.random()
        kinds: tuple[tuple[float, Fault], ...] = (
            (self.throttled, 429),
            (self.broken / 2, 500),
            (self.broken / 2, "broken"),
            (self.lost, "lost"),
        )
        for share, kind in kinds:
            if roll < share:
                return kind
            roll -= share
        return None

    def pause(self) -> float:
        """Seconds an answer takes: most near the median, a few several times as long."""
        return self.latency * math.exp(self.dice.gauss(0.0, 0.5)) if self.latency else 0.0


class Bucket:
    """Tokens that come back at a rate, up to as many as it holds."""

    def __init__(self, rate: float, size: float) -> None:
        self.rate, self.size = rate, size
        self._level, self._at = size, -math.inf

    def take(self, now: float) -> bool:
        back = max(now - self._at, 0.0) * self.rate
        self._level, self._at = min(self._level + back, self.size), now
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True


class Simulator:
    """One platform. Subclasses answer; what is asked is kept in `history`, oldest first, and
    what was delivered to a webhook in `hooks`."""

    def __init__(
        self,
        *,
        history: Path | None = None,
        clock: Callable[[], float] = time.time,
        temper: Temper | None = None,
    ) -> None:
        self.history: list[Json] = []
        self.hooks: list[Json] = []
        self.clock = clock
        self.temper = temper or Temper()
        self.slow = 1.0
        self._faults: deque[tuple[Fault, str]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._path = history
        self._file: IO[str] | None = None

    def fail_next(self, n: int, kind: Fault, path: str = "") -> None:
        """Let the next `n` requests whose path contains `path` end like that."""
        self._faults.extend([(kind, path)] * n)

    async def answer(self, request: web.BaseRequest, record: Json) -> web.StreamResponse:
        """Carry one request out; add what a checker should see to `record`."""
        raise NotImplementedError

    def failure(self, status: int, record: Json) -> web.Response:
        """The platform's own wording of a failure that was scripted or came by chance."""
        raise NotImplementedError

    async def by_hand(self, what: str, given: Json) -> object:
        """Something that a user does, asked for at `/simulator/<what>`."""
        raise NotImplementedError

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith("/simulator/"):
            return answer(await self.by_hand(request.path[11:], await read_json(request) or {}))
        record: Json = {"mono": time.monotonic(), "wall": time.time()}
        fault = self._fault(request.path)
        if fault == "reset" or isinstance(fault, int):
            await self.note(request, record)
            response: web.StreamResponse = (
                self.failure(fault, record) if isinstance(fault, int) else web.Response(status=500)
            )
        else:
            response = await self.answer(request, record)
        record["status"] = response.status
        if fault is not None:
            record["fault"] = fault
        self.history.append(record)
        self.write(record)
        if pause := self.temper.pause():
            await asyncio.sleep(pause)
        return await self._spoil(request, response, fault)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on with something while requests are answered."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def hooked(self, record: Json) -> None:
        """Keep what became of a webhook."""
        self.hooks.append(record)
        self.write({"hook": True, **record})

    def write(self, record: Json) -> None:
        if self._file is not None:
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")

    async def note(self, request: web.BaseRequest, record: Json) -> None:
        """Write down what was asked, in the form the platform's checker reads."""
        raise NotImplementedError

    def _fault(self, path: str) -> Fault | None:
        if not self._faults or self._faults[0][1] not in path:
            return self.temper.fault(path)
        return self._faults.popleft()[0]

    async def _spoil(
        self, request: web.BaseRequest, response: web.StreamResponse, fault: Fault | None
    ) -> web.StreamResponse:
        if fault in ("lost", "reset") and request.transport is not None:
            request.transport.abort()
        elif fault == "broken":
            return self.failure(500, {})
        elif fault == "garbled":
            return web.Response(text="<html>200 and yet no answer</html>")
        elif fault == "slow":
            await asyncio.sleep(self.slow)
        return response

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[str]:
        """Serve in this event loop; gives the base URL."""
        server = web.Server(self._handle, access_log=None)
        self._file = self._path.open("a", buffering=1) if self._path else None
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            for task in self._tasks:
                task.cancel()
            await runner.cleanup()
            if self._file is not None:
                self._file.close()
                self._file = None

    @contextmanager
    def in_thread(self, port: int = 0) -> Iterator[str]:
        """Serve in a thread with an event loop of its own; gives the base URL."""
        ready: deque[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = deque()
        started = threading.Event()

        async def run() -> None:
            stop = asyncio.Event()
            async with self.serve(port) as base:
                ready.append((base, asyncio.get_running_loop(), stop))
                started.set()
                await stop.wait()

        thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True)
        thread.start()
        if not started.wait(10):
            raise RuntimeError("the simulator did not start")
        base, loop, stop = ready[0]
        try:
            yield base
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(10)


async def read_json(request: web.BaseRequest) -> Any:
    body = await request.read()
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return web.Response(
        body=text.encode(), status=status, headers=headers, content_type="application/json"
    )


def parser(what: str, port: int) -> argparse.ArgumentParser:
    """The command line of a simulator that is started by hand."""
    made = argparse.ArgumentParser(
        description=what, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--port", type=int, default=port)
    made.add_argument("--history", type=Path, help="a JSONL file to append each request to")
    made.add_argument("--token", default="token", help="the access token it believes in")
    made.add_argument("--webhook", default="", help="where to deliver what users do")
    made.add_argument("--secret", default="secret", help="what webhooks are signed with")
    made.add_argument("--seed", type=int, default=0, help="of all that comes by chance")
    made.add_argument("--latency", type=float, default=0.0, help="median, seconds")
    for name, of in (
        ("throttled", "429 answers"),
        ("broken", "500 answers, half of them after delivery"),
        ("lost", "answers that never come, after delivery"),
    ):
        made.add_argument(f"--{name}", type=float, default=0.0, help=f"share of {of}")
    return made


def temper(given: argparse.Namespace) -> Temper:
    return Temper(
        given.seed,
        throttled=given.throttled,
        broken=given.broken,
        lost=given.lost,
        latency=given.latency,
    )


def run(simulator: Simulator, port: int) -> None:
    """Serve until interrupted."""

    async def forever() -> None:
        async with simulator.serve(port) as base:
            print(base, flush=True)
            await asyncio.Event().wait()

    try:
        asyncio.run(forever())
    except KeyboardInterrupt:
        return
