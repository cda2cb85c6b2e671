"""What both simulators share: a fast HTTP server, a history of requests, and scripted faults."""

import argparse
import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from aiohttp import web

Json = dict[str, Any]
Fault = int | Literal["lost", "reset", "garbled", "slow"]
"""A status code answered without carrying the request out; an answer that never comes after
carrying it out; a connection cut before that; a 200 nobody can read; an answer that takes its time.
"""


class Simulator:
    """One platform. Subclasses answer; what is asked is kept in `history`, oldest first."""

    def __init__(
        self, *, history: Path | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.history: list[Json] = []
        self.clock = clock
        self.slow = 1.0
        self._faults: deque[tuple[Fault, str]] = deque()
        self._path = history
        self._file: IO[str] | None = None

    def fail_next(self, n: int, kind: Fault, path: str = "") -> None:
        """Let the next `n` requests whose path contains `path` end like that."""
        self._faults.extend([(kind, path)] * n)

    async def answer(self, request: web.BaseRequest, record: Json) -> web.StreamResponse:
        """Carry one request out; add what a checker should see to `record`."""
        raise NotImplementedError

    def failure(self, status: int) -> web.Response:
        """The platform's own wording of a scripted failure."""
        raise NotImplementedError

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        record: Json = {"mono": time.monotonic(), "wall": time.time()}
        fault = self._fault(request.path)
        if fault == "reset" or isinstance(fault, int):
            await self.note(request, record)
            response: web.StreamResponse = (
                self.failure(fault) if isinstance(fault, int) else web.Response(status=500)
            )
        else:
            response = await self.answer(request, record)
        record["status"] = response.status
        if fault is not None:
            record["fault"] = fault
        self.history.append(record)
        if self._file is not None:
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
        return await self._spoil(request, response, fault)

    async def note(self, request: web.BaseRequest, record: Json) -> None:
        """Write down what was asked, in the form the platform's checker reads."""
        raise NotImplementedError

    def _fault(self, path: str) -> Fault | None:
        if not self._faults or self._faults[0][1] not in path:
            return None
        return self._faults.popleft()[0]

    async def _spoil(
        self, request: web.BaseRequest, response: web.StreamResponse, fault: Fault | None
    ) -> web.StreamResponse:
        if fault in ("lost", "reset") and request.transport is not None:
            request.transport.abort()
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


def options(what: str, port: int) -> argparse.Namespace:
    """The command line of a simulator that is started by hand."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--history", type=Path, help="a JSONL file to append each request to")
    parser.add_argument("--token", default="token", help="the access token it believes in")
    return parser.parse_args()


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
