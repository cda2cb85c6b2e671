"""A small HTTP/1.1 client that is faster than what it measures: requests are bytes made
beforehand, connections are kept alive, an answer is a status and a length."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct

Answered = Callable[["_Connection", bytes], None]
clock = time.perf_counter


class Run(Struct):
    """What came of sending many requests."""

    seconds: float
    latencies: list[float]
    """In seconds, one for each answer."""
    faults: int = 0
    """Answers that were not 200."""

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        ranked = sorted(self.latencies)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


async def closed_loop(port: int, requests: Sequence[bytes], connections: int) -> Run:
    """Send all requests; each connection asks again as soon as it has its answer."""
    waiting = iter(requests)
    run = Run(0.0, [])
    done = asyncio.get_running_loop().create_future()

    def answered(connection: _Connection, status: bytes) -> None:
        now = clock()
        run.latencies.append(now - connection.asked_at)
        run.faults += status != b"200"
        if (request := next(waiting, None)) is not None:
            connection.ask(request, now)
        elif len(run.latencies) == len(requests):
            done.set_result(None)

    made = await _connect(port, connections, answered, done)
    began = clock()
    for connection, request in zip(made, waiting, strict=False):
        connection.ask(request, clock())
    return await _finished(run, began, done, made)


async def open_loop(port: int, requests: Sequence[bytes], rate: float, connections: int) -> Run:
    """Send requests at a fixed rate, whatever the answers do. The clock of a request starts when
    it was due: one that waits for a free connection is late, and that counts."""
    free: deque[_Connection] = deque()
    late: deque[tuple[bytes, float]] = deque()
    run = Run(0.0, [])
    done = asyncio.get_running_loop().create_future()

    def answered(connection: _Connection, status: bytes) -> None:
        run.latencies.append(clock() - connection.asked_at)
        run.faults += status != b"200"
        if late:
            connection.ask(*late.popleft())
        else:
            free.append(connection)
        if len(run.latencies) == len(requests):
            done.set_result(None)

    made = await _connect(port, connections, answered, done)
    free.extend(made)
    began = clock()
    for number, request in enumerate(requests):
        due = began + number / rate
        if (ahead := due - clock()) > 0:
            await asyncio.sleep(ahead)
        if free:
            free.popleft().ask(request, due)
        else:
            late.append((request, due))
    return await _finished(run, began, done, made)


class _Connection(asyncio.Protocol):
    """One kept-alive connection: a request out, the status of its answer in."""

    def __init__(self, answered: Answered, done: asyncio.Future[None]) -> None:
        self._answered = answered
        self._done = done
        self._buffer = b""
        self._transport: asyncio.Transport
        self.asked_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes, asked_at: float) -> None:
        self.asked_at = asked_at
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        body = data.find(b"\r\n\r\n") + 4
        if body >= 4:
            length = data.find(b"content-length: ") + 16
            if len(data) >= body + int(data[length : data.find(b"\r", length)]):
                self._buffer = b""
                self._answered(self, data[9:12])
                return
        self._buffer = data

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError("the server hung up"))

    def close(self) -> None:
        self._transport.abort()


async def _connect(
    port: int, count: int, answered: Answered, done: asyncio.Future[None]
) -> list[_Connection]:
    loop = asyncio.get_running_loop()
    made = []
    for _ in range(count):
        new = await loop.create_connection(lambda: _Connection(answered, done), "127.0.0.1", port)
        made.append(new[1])
    return made


async def _finished(
    run: Run, began: float, done: asyncio.Future[None], connections: Sequence[_Connection]
) -> Run:
    try:
        await done
        run.seconds = clock() - began
    finally:
        for connection in connections:
            connection.close()
    return run
