"""Understanding messages: how many a second, the slow ones, and what it takes to hold the words."""

import gc
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.measures import Row
from content.load import load
from content.schema import Content
from flows.intents import understand

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
SET = Path(__file__).parents[1] / "tests" / "understanding" / "tuning.tsv"
ROUNDS = 5


def messages(quick: bool) -> list[Row]:
    """The shipped messages one after the other, and the same for a function that does nothing."""
    texts = [line.split("\t")[2] for line in SET.read_text(encoding="utf-8").splitlines()]
    content, rounds = load(), 2 if quick else ROUNDS
    understand(texts[0], NOW, content)
    gc.collect()
    noop, real = [], []
    for _ in range(rounds):
        noop += _timed(_nothing, texts, content)
        real += _timed(understand, texts, content)
    real.sort()
    p99 = real[int(0.99 * len(real))] * 1e3
    memory = _memory()
    return [
        Row("(v) a no-op for each message", len(noop) / sum(noop), "messages/s"),
        Row("(v) messages understood", len(real) / sum(real), "messages/s"),
        Row("(v) one message, p50", median(real) * 1e3, "ms"),
        Row("(v) one message, p99", p99, "ms", "< 1", p99 < 1),
        Row("(v) the slowest message", real[-1] * 1e3, "ms"),
        Row("(v) memory after start", memory, "MiB", "< 150", memory < 150),
    ]


def _nothing(text: str, now: datetime, content: Content) -> str:
    return text


def _timed(what, texts: list[str], content: Content) -> list[float]:  # type: ignore[no-untyped-def]
    """Seconds that each message takes."""
    took = []
    for text in texts:
        began = time.perf_counter()
        what(text, NOW, content)
        took.append(time.perf_counter() - began)
    return took


def _memory() -> float:
    """Of `kaona understand` once it has answered, in MiB that are really there (RSS)."""
    command = [sys.executable, "-m", "bot", "understand"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("เตือนพรุ่งนี้\n".encode())
        process.stdin.flush()
        process.stdout.readline()
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        process.stdin.close()
        process.wait()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
