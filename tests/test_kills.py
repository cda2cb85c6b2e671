"""X1: a real service is killed again and again while webhooks stream in, between two platforms
that throttle and lose answers; in the end an oracle in memory says what there must be."""

import json
import random
import re
import shutil
import signal
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, field
from msgspec.json import decode, encode
from sqlalchemy import create_engine, select, text

from bot.app import pack
from bot.channels import line_sdk
from bot.channels.line import parse as parse_line
from bot.channels.parts import titled
from bot.channels.telegram import parse as parse_telegram
from bot.sender import IN_FLIGHT
from content.schema import Content
from flows.engine import handle
from flows.types import AnyEvent, Found, Look, Record, Reply, State
from storage.looks import TRIES
from storage.models import EPOCH, facts, from_micros, learners, outbox, parked
from tests.running import SECRET, Service, environment, eventually, rows
from tests.simulators.line import BOT, Line
from tests.simulators.server import Fault, Json, Temper
from tests.simulators.telegram import Telegram

SAYS = ("1", "2", "3", "๑", "ก", "เมนู", "ช่วยเหลือ", "ฮัมเพลง", "WRON-GCOD-E234-X", "ไว้ก่อน")
WORKERS = 16
LINK = "https://kaona.example.go.th"


def unwell(seed: int) -> Temper:
    """Two requests in a hundred are throttled; of two hundred, the answer to one is lost after
    the request was carried out. At last it recovers: LINE's limits would hold up the rest for a
    minute."""
    return Temper(seed, throttled=0.02, lost=0.005)


# --- what streams in -------------------------------------------------------------------------


class Delivery(Struct):
    """One webhook, which is delivered until it is acknowledged."""

    path: str
    body: bytes
    headers: dict[str, str]
    key: tuple[str, str]
    address: str
    event: AnyEvent


def stream(n: int, seed: int, line: Line, telegram: Telegram) -> Iterator[Delivery]:
    """So many webhooks of LINE's and a tenth as many updates of Telegram's, from a learner for
    every forty; one in twenty comes twice, and neighbours change places."""
    rng = random.Random(seed)
    people = [f"U{number:032d}" for number in range(max(n // 40, 1))]
    window: list[Delivery] = []
    for number in range(n):
        who = people[number] if number < len(people) else rng.choice(people)
        window.append(_line(line, who, rng, first=number < len(people)))
        if number % 10 == 0:
            window.append(_telegram(telegram, 9000 + number % (10 * len(people)), rng))
        if rng.random() < 0.05:
            window.append(rng.choice(window))
        while len(window) > 8:
            yield window.pop(rng.randrange(len(window)))
    yield from window


def _line(line: Line, who: str, rng: random.Random, *, first: bool) -> Delivery:
    roll = rng.random()
    if first:
        event = line.follows(who)
    elif roll < 0.85:
        event = line.says(who, rng.choice(SAYS))
    elif roll < 0.95:
        event = line.presses(who, f"{rng.randrange(9)}:{rng.choice(('agree', 'guest', 'go'))}")
    else:
        event = line.sends(who, "sticker")
    body, headers = line.webhook(event)
    heard = parse_line(body, BOT, EPOCH)[0][0]
    return Delivery("/webhook/line", body, headers, ("line", heard.event_id), who, heard.event)


def _telegram(telegram: Telegram, who: int, rng: random.Random) -> Delivery:
    update = telegram.says(who, rng.choice(SAYS))
    headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET, "content-type": "application/json"}
    heard = parse_telegram(update, "4242", EPOCH).incoming[0]
    key = ("telegram", heard.event_id)
    body = json.dumps(update).encode()
    return Delivery("/webhook/telegram", body, headers, key, str(who), heard.event)


class Feeder:
    """Delivers the stream with several hands, as far as it is allowed to for now."""

    def __init__(self, port: int, deliveries: Iterator[Delivery]) -> None:
        self.accepted: dict[tuple[str, str], Delivery] = {}
        self.tries = 0
        self.failed: list[BaseException] = []
        self._port = port
        self._deliveries = deliveries
        self._allowed = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def allow(self, n: int) -> None:
        self._allowed.release(n)

    def finish(self, seconds: float) -> None:
        """All the rest."""
        self._allowed.release(1_000_000)
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "not all was accepted"
        assert self.failed == []

    def _run(self) -> None:
        with ThreadPoolExecutor(WORKERS) as hands:
            for delivery in self._deliveries:
                self._allowed.acquire()
                hands.submit(self._deliver, delivery)

    def _deliver(self, delivery: Delivery) -> None:
        """Again and again, until it is acknowledged."""
        try:
            while not 200 <= self._post(delivery) < 300:
                time.sleep(0.1)
            self.accepted[delivery.key] = delivery
        except BaseException as error:
            self.failed.append(error)

    def _post(self, delivery: Delivery) -> int:
        self.tries += 1
        door = HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            door.request("POST", delivery.path, delivery.body, delivery.headers)
            return door.getresponse().status
        except (OSError, HTTPException):
            return 0
        finally:
            door.close()


# --- what there must be in the end ------------------------------------------------------------


class Life(Struct):
    """One learner's conversation as the oracle has lived it."""

    state: State
    facts: list[tuple[str, str]] = field(default_factory=list)
    requests: list[tuple[Reply, ...]] = field(default_factory=list)
    tries: int = 0


class Oracle:
    """Folds the pure function over each learner's events, in the order in which they were
    taken: no database, no network, no second time."""

    def __init__(self, content: Content) -> None:
        known = {"dpo": "dpo@agency.go.th", "public_url": LINK}
        self._content = content.model_copy(update=known)
        self.lives: dict[tuple[str, str], Life] = {}

    def live(self, delivery: Delivery, learner: int, micros: int) -> None:
        now, who = from_micros(micros), (delivery.key[0], delivery.address)
        life = self.lives.setdefault(who, Life(State(learner)))
        turn = handle(life.state, delivery.event, now, self._content)
        replies, effects = list(turn.replies), list(turn.effects)
        while looks := [effect for effect in turn.effects if isinstance(effect, Look)]:
            found = self._found(life, looks[0])
            turn = handle(turn.state, found, now, self._content)
            replies += turn.replies
            effects += turn.effects
        life.state = turn.state
        for effect in effects:
            if isinstance(effect, Record):
                life.facts.append((effect.kind, encode(effect.data).decode()))
        life.requests += pack(who[0], tuple(replies)) if replies else []

    def _found(self, life: Life, look: Look) -> Found:
        match look.what:
            case "claim":
                life.tries += 1
                problem = "unknown" if life.tries <= TRIES else "too_many"
                return Found("claim", {"problem": problem})
            case "use":
                life.facts.append(("used_at_work", encode(look.args).decode()))
                return Found("use", {"use": 0, "asked": False})
            case what:
                raise AssertionError(f"the oracle cannot look for {what}")


PICTURE = re.compile(r"/pictures/[0-9a-f]+")


def line_texts(request: tuple[Reply, ...]) -> Iterator[str]:
    """The messages of a request as LINE shows them."""
    tokens = ["0" * 32 for reply in request if reply.picture]
    for message in line_sdk.messages(request, tokens, LINK):
        yield _canonical(message.dict(by_alias=True, exclude_none=True))


def _canonical(message: Json) -> str:
    return PICTURE.sub("/pictures/x", json.dumps(message, sort_keys=True, ensure_ascii=False))


# --- the run ----------------------------------------------------------------------------------


class Run:
    """A service, its platforms and its feeder, and what comes of killing it."""

    def __init__(self, url: str, folder: Path, content: Content, kills: int, n: int) -> None:
        self.url, self.folder, self.kills, self.n = url, folder, kills, n
        self._content = content
        self._fuse = random.Random(4711)
        self.line, self.telegram = Line(temper=unwell(1)), Telegram(temper=unwell(2), retry_after=1)
        self.faults: list[str] = []

    def go(self) -> str:
        began = time.monotonic()
        with self.line.in_thread() as line, self.telegram.in_thread() as telegram:
            service = Service(self.folder, environment(self.url, line, telegram))
            deliveries = stream(self.n, 20261120, self.line, self.telegram)
            self.feeder = Feeder(service.port, deliveries)
            for kill in range(self.kills):
                self._one_life(service, kill)
            service.start()
            self.feeder.finish(120 + self.n / 20)
            self.line.temper.well = self.telegram.temper.well = True
            eventually(lambda: not self._open(), 120)
            assert service.end() == 0
        self._check()
        return self._told(time.monotonic() - began)

    def _one_life(self, service: Service, kill: int) -> None:
        """From the start, or from the first answer, until the fuse has burnt down."""
        service.start()
        self.feeder.allow(self.n // self.kills)
        if kill % 5:
            eventually(service.answers, 30)
        time.sleep(self._fuse.expovariate(1 / 0.3))
        service.end(signal.SIGKILL)
        if self.url.startswith("sqlite"):
            self.faults += _broken(self.folder)
        else:
            self._let_leases_end()

    def _let_leases_end(self) -> None:
        """A minute passes before the next start: several workers share a PostgreSQL, so a lease
        is all that tells them that one is dead. On SQLite the one process knows at once."""
        engine = create_engine(self.url)
        with engine.begin() as conn:
            minute = {"minute": 60_000_000}
            conn.execute(text("update outbox set lease_until = lease_until - :minute"), minute)
        engine.dispose()

    def _open(self) -> bool:
        waiting = select(outbox.c.id).where(outbox.c.status.in_(("queued", "sending")))
        return bool(rows(self.url, waiting.limit(1)))

    # --- the check ---------------------------------------------------------------------------

    def _check(self) -> None:
        self.taken = self._taken()
        keys = [tuple(row[:2]) for row in self.taken]
        self.lost = self.feeder.accepted.keys() - set(keys)
        self.twice = [key for key, times in Counter(keys).items() if times > 1]
        self.uncertain = rows(self.url, select(outbox).where(outbox.c.status == "uncertain"))
        oracle = self._oracle()
        self._compare_database(oracle)
        self._compare_line(oracle)
        self._compare_telegram(oracle)
        if self.url.startswith("sqlite"):
            self.faults += _broken(self.folder)

    def _taken(self) -> list[Any]:
        """Inbox keys in the order in which they were written."""
        order = "rowid" if self.url.startswith("sqlite") else "seq"
        query = text(f"select channel, event_id, at from inbox order by {order}")
        return rows(self.url, query)  # type: ignore[arg-type]

    def _oracle(self) -> Oracle:
        oracle = Oracle(self._content)
        ids = rows(self.url, select(learners.c.channel, learners.c.address, learners.c.id))
        learner = {(channel, address): number for channel, address, number in ids}
        for channel, event_id, at in self.taken:
            delivery = self.feeder.accepted[(channel, event_id)]
            oracle.live(delivery, learner[(channel, delivery.address)], at)
        return oracle

    def _compare_database(self, oracle: Oracle) -> None:
        stored = rows(self.url, select(learners.c.channel, learners.c.address, learners.c.state))
        told = select(learners.c.channel, learners.c.address, facts.c.kind, facts.c.data)
        kept: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for channel, address, kind, data in rows(self.url, told.join_from(facts, learners)):
            kept[(channel, address)].append((kind, data))
        for channel, address, state in stored:
            life = oracle.lives[(channel, address)]
            if decode(state, type=State) != life.state:
                self.faults.append(f"state of {address}: {state} not {encode(life.state)!r}")
            if Counter(kept[(channel, address)]) != Counter(life.facts):
                self.faults.append(f"facts of {address}")
        if len(stored) != len(oracle.lives):
            self.faults.append(f"{len(stored)} learners, not {len(oracle.lives)}")
        self.faults += [f"parked: {row.error}" for row in rows(self.url, select(parked))]
        wanted = sum(len(life.requests) for life in oracle.lives.values())
        found = Counter(status for (status,) in rows(self.url, select(outbox.c.status)))
        if found.keys() - {"accepted", "uncertain"} or found.total() != wanted:
            self.faults.append(f"outbox {found}, not {wanted} requests")

    def _compare_line(self, oracle: Oracle) -> None:
        """Nothing twice, and nothing missing but what is marked uncertain."""
        self.doubled, self.missing, self.delivered = 0, 0, 0
        for (channel, address), life in oracle.lives.items():
            if channel == "line":
                wanted = Counter(text for part in life.requests for text in line_texts(part))
                got = Counter(_canonical(each) for each in self.line.delivered[address])
                self.doubled += (got - wanted).total()
                self._miss("line", address, (wanted - got).total(), 5)
                self.delivered += got.total()

    def _compare_telegram(self, oracle: Oracle) -> None:
        """A reply may come twice where its fate was unknown, and only there."""
        self.repeated = 0
        for (channel, address), life in oracle.lives.items():
            if channel == "telegram":
                wanted = Counter(titled(reply) for part in life.requests for reply in part)
                sent = self.telegram.delivered[address]
                got = Counter(each.get("text") or each.get("caption", "") for each in sent)
                self.repeated += (got - wanted).total()
                self._miss("telegram", address, (wanted - got).total(), 1)
        if self.repeated > self.kills * IN_FLIGHT + _faults(self.telegram, "lost"):
            self.faults.append(f"{self.repeated} repeated on Telegram")

    def _miss(self, channel: str, address: str, messages: int, most: int) -> None:
        unknown = [r for r in self.uncertain if (r.channel, r.address) == (channel, address)]
        self.missing += messages
        if messages > most * len(unknown):
            self.faults.append(f"{address} misses {messages}, uncertain {len(unknown)}")

    def _told(self, seconds: float) -> str:
        return (
            f"{self.url[:6]}: kills {self.kills} accepted {len(self.feeder.accepted)} "
            f"in {self.feeder.tries} tries lost {len(self.lost)} doubled {len(self.twice)} | "
            f"LINE messages {self.delivered} doubled {self.doubled} | "
            f"Telegram repeated {self.repeated} | uncertain {len(self.uncertain)} "
            f"of them never delivered {self.missing} | throttled "
            f"{_faults(self.line, 429) + _faults(self.telegram, 429)} answers lost "
            f"{_faults(self.line, 'lost') + _faults(self.telegram, 'lost')} | "
            f"faults {len(self.faults)} | {seconds:.0f} s"
        )


def _faults(platform: Line | Telegram, kind: Fault) -> int:
    return sum(record.get("fault") == kind for record in platform.history)


def _broken(folder: Path) -> list[str]:
    """What SQLite finds wrong with the file as a crash has left it; on a copy, so that nobody
    but the service mends it."""
    copy = folder / "copy"
    copy.mkdir(exist_ok=True)
    for path in folder.glob("kaona.db*"):
        shutil.copy(path, copy / path.name)
    conn = sqlite3.connect(copy / "kaona.db")
    try:
        whole = [row[0] for row in conn.execute("PRAGMA integrity_check") if row[0] != "ok"]
        return whole + [str(row) for row in conn.execute("PRAGMA foreign_key_check")]
    finally:
        conn.close()
        shutil.rmtree(copy)


def _go(url: str, folder: Path, content: Content, kills: int, n: int) -> tuple[Run, str]:
    if not url.startswith("sqlite"):
        engine = create_engine(url)
        with engine.begin() as conn:
            conn.execute(text("alter table inbox add column seq bigserial"))
        engine.dispose()
    run = Run(url, folder, content, kills, n)
    return run, run.go()


def test_twenty_kills_lose_and_double_nothing(
    url: str, tmp_path: Path, content: Content, capsys: pytest.CaptureFixture[str]
) -> None:
    run, told = _go(url, tmp_path, content, kills=20, n=1_200)
    with capsys.disabled():
        print(f"\n{told}", *run.faults[:10], sep="\n")

    assert (run.lost, run.twice, run.doubled, run.faults) == (set(), [], 0, [])


@pytest.mark.soak
def test_two_hundred_kills_lose_and_double_nothing(
    url: str, tmp_path: Path, content: Content, capsys: pytest.CaptureFixture[str]
) -> None:
    run, told = _go(url, tmp_path, content, kills=200, n=20_000)
    with capsys.disabled():
        print(f"\n{told}", *run.faults[:10], sep="\n")

    assert (run.lost, run.twice, run.doubled, run.faults) == (set(), [], 0, [])
