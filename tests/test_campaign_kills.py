"""P8, P9, P11: campaigns go out while the service is killed again and again, between platforms
that throttle and lose answers. A checker of its own reads what came of it."""

import random
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import create_engine, select, text

from content.schema import Content
from storage.database import Database
from storage.models import occurrences, outbox
from tests.crowd import BANGKOK_FRIDAY, approved, people, settle
from tests.people import planned
from tests.running import ROOT, Service, environment, eventually, rows
from tests.simulators.line import RATES, Line
from tests.simulators.server import Temper
from tests.simulators.telegram import Telegram

CAMPAIGNS = 10
"""Each to a tenth of all; half of them name the step where the learner is, so that every message
is another and leaves alone."""
RATE = 400
"""Messages a second that this Telegram takes, so that it ends today."""


class Run:
    """Services, their platforms, and what comes of killing them."""

    def __init__(self, url: str, folder: Path, content: Content, kills: int, n: int) -> None:
        self.url, self.folder, self.kills, self.n = url, folder, kills, n
        self._content = content
        self._dice = random.Random(20261120)
        unwell = {"throttled": 0.02, "lost": 0.005, "broken": 0.01, "latency": 0.02}
        self.files = {name: folder / f"{name}.jsonl" for name in ("line", "telegram")}
        self.line = Line(temper=Temper(1, **unwell), history=self.files["line"], rates=RATES)
        self.telegram = Telegram(
            temper=Temper(2, **unwell),
            history=self.files["telegram"],
            rate=RATE * 1.1,
            retry_after=1,
        )
        self._ahead = BANGKOK_FRIDAY - datetime.now(BANGKOK_FRIDAY.tzinfo)
        self._started = 0
        self.services: list[Service] = []

    def go(self) -> str:
        """The checker's word on it."""
        self._settle()
        began = time.monotonic()
        with self.line.in_thread() as line, self.telegram.in_thread() as telegram:
            env = environment(self.url, line, telegram, TELEGRAM_RATE=str(RATE))
            self.services = self._services(env)
            for kill in range(self.kills):
                if kill * CAMPAIGNS >= self._started * self.kills:
                    self._begin_one()
                self._one_life(kill)
            while self._started < CAMPAIGNS:
                self._begin_one()
            self._start()
            # a row that was under way at many kills waits for minutes after a 429
            eventually(lambda: not self._open(), 700)
            codes = [service.end() for service in self.services]
        assert codes == [0] * len(codes)
        took = time.monotonic() - began
        return f"{self.url[:6]}: {self.kills} kills in {took:.0f} s\n{self._told()}"

    def _settle(self) -> None:
        half = self.n // 2
        state = replace(planned(BANGKOK_FRIDAY), person=None)
        crowd = [*people("line", half, state), *people("telegram", half, state)]
        db = Database(self.url)
        settle(db, crowd, self._content, BANGKOK_FRIDAY)
        with db.write() as conn:
            conn.execute(text(f"update profiles set personnel_group = learner_id % {CAMPAIGNS}"))
        db.close()

    def _services(self, env: dict[str, str]) -> list[Service]:
        """One on SQLite; on PostgreSQL two that share the work."""
        program = ("tests.shifted", str(self._ahead.total_seconds()))
        commands = ["serve"] if self.url.startswith("sqlite") else ["serve", "worker"]
        return [Service(self.folder, env, command, program=program) for command in commands]

    def _begin_one(self) -> None:
        """Approve the next campaign, while nobody else has the database."""
        now = datetime.now(BANGKOK_FRIDAY.tzinfo) + self._ahead
        said = f"[#{self._started}] ขั้น {{step}}" if self._started % 2 else f"[#{self._started}]"
        db = Database(self.url)
        with db.write() as conn:
            approved(conn, said, now, segment={"groups": [str(self._started)]})
        db.close()
        self._started += 1

    def _start(self) -> None:
        for service in self.services:
            service.start()

    def _one_life(self, kill: int) -> None:
        """From the start, or from when something leaves, until the fuse has burnt down."""
        before = self._requests()
        self._start()
        if kill % 5:
            eventually(self.services[0].answers, 60)
            self._wait_for_more(before)
        time.sleep(self._dice.expovariate(1 / 0.3))
        for service in self.services:
            service.end(signal.SIGKILL)
        if not self.url.startswith("sqlite"):
            self._let_leases_end()

    def _requests(self) -> int:
        return len(self.line.history) + len(self.telegram.history)

    def _wait_for_more(self, before: int) -> None:
        """Something leaves; or nothing is left for now."""
        until = time.monotonic() + 4
        while self._requests() < before + 8 and time.monotonic() < until:
            time.sleep(0.005)

    def _let_leases_end(self) -> None:
        """A minute passes before the next start: all are dead, and only leases tell of it."""
        engine = create_engine(self.url)
        with engine.begin() as conn:
            conn.execute(text("update outbox set lease_until = lease_until - 60000000"))
            conn.execute(text("delete from leases"))
        engine.dispose()

    def _open(self) -> bool:
        """Sendings that are not over, or rows of theirs."""
        done = select(occurrences.c.id).where(occurrences.c.status == "done")
        waiting = select(outbox.c.id).where(outbox.c.status.in_(("queued", "sending", "held")))
        over = len(rows(self.url, done)) == CAMPAIGNS
        return not over or bool(rows(self.url, waiting.limit(1)))

    def _told(self) -> str:
        given = ["--database", self.url, "--shift", str(self._ahead.total_seconds())]
        given += ["--rate", str(RATE * 1.1)]
        given += [part for name, path in self.files.items() for part in (f"--{name}", str(path))]
        command = [sys.executable, "-m", "tests.checker", *given]
        ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        self.good = ended.returncode == 0
        return ended.stdout + ended.stderr


def _go(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        told = run.go()
    finally:
        for service in run.services:  # whatever happened, nobody goes on without us
            service.end(signal.SIGKILL)
    with capsys.disabled():
        print(f"\n{told}")
    mine = select(outbox.c.channel, outbox.c.status)
    line = [status for channel, status in rows(run.url, mine) if channel == "line"]

    assert run.good, told
    assert set(line) == {"accepted"}  # LINE knows a repeat: nothing need be uncertain
    assert len(line) == len(run.line.delivered) == run.n // 2


def test_campaigns_survive_kills(
    url: str, tmp_path: Path, content: Content, capsys: pytest.CaptureFixture[str]
) -> None:
    _go(Run(url, tmp_path, content, kills=4, n=300), capsys)


@pytest.mark.soak
def test_campaigns_survive_a_hundred_kills(
    url: str, tmp_path: Path, content: Content, capsys: pytest.CaptureFixture[str]
) -> None:
    _go(Run(url, tmp_path, content, kills=100, n=10_000), capsys)
