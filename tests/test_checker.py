"""The checker finds what is wrong: a run in which all is well, and every violation planted."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid5

import pytest
from sqlalchemy import insert

from storage.database import Database
from storage.migrate import migrate
from storage.models import addresses, learners, messages, outbox, profiles
from tests.checker import CAMPAIGNS, Report, check, options
from tests.running import ROOT

NINE = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
"""Nine o'clock on a Friday."""
Json = dict[str, Any]


class World:
    """Two learners and a campaign that each has got: one by push, one on Telegram."""

    def __init__(self) -> None:
        at = NINE.timestamp()
        push = str(uuid5(CAMPAIGNS, "1:1"))
        self.line = [_push("U1", push, at)]
        self.telegram = [_message(2, at)]
        self.people: list[Json] = []
        self.rows = [_row(1, "line", "U1"), _row(2, "telegram", "2", platform_id="77")]
        self.zone = ""

    def run(self, folder: Path, *more: str) -> Report:
        for name in ("line", "telegram", "people"):
            lines = [json.dumps(record) for record in getattr(self, name)]
            (folder / f"{name}.jsonl").write_text("\n".join(lines) + '\n{"cut')
        url = f"sqlite:///{folder}/kaona.db"
        self._store(url)
        files = [f for name in ("line", "telegram", "people") for f in _file(folder, name)]
        self.command = [*files, "--database", url, *more]
        return check(options(*self.command))

    def _store(self, url: str) -> None:
        db = Database(url)
        migrate(db)
        with db.write() as conn:
            for number, channel, address in ((1, "line", "U1"), (2, "telegram", "2")):
                to = {"channel": channel, "address": address}
                at = {"created_at": NINE}
                conn.execute(insert(learners).values(id=number, state="{}", **to, **at))
                conn.execute(insert(addresses).values(learner_id=number, **to, **at))
                kept = {"learner_id": number, "lang": "th", "zone": self.zone, **to}
                conn.execute(insert(profiles).values(**kept))
            conn.execute(insert(messages).values(id=1, payload='{"text":"[#a] hello"}'))
            for row in self.rows:
                conn.execute(insert(outbox).values(**row))
        db.close()


def _file(folder: Path, name: str) -> list[str]:
    return [f"--{name}", str(folder / f"{name}.jsonl")]


def _push(to: str, key: str, at: float, said: str = "[#a] hello") -> Json:
    body = {"to": to, "messages": [{"type": "text", "text": said}]}
    asked = {"method": "post", "path": "/v2/bot/message/push", "body": body}
    headers = {"X-Line-Retry-Key": key}
    return {**asked, "headers": headers, "status": 200, "delivered": 1, "billed": 1} | _at(at)


def _message(chat: int, at: float, **more: object) -> Json:
    params = {"chat_id": chat, "text": "[#a] hello"}
    made = {"method": "sendMessage", "params": params, "files": [], "status": 200}
    return {**made, "delivered": 1, "message_id": 77} | _at(at) | more


def _at(at: float) -> Json:
    return {"wall": at, "mono": at}


def _row(learner: int, channel: str, address: str, **more: object) -> Json:
    made = {
        "key": f"1:{learner}",
        "learner_id": learner,
        "channel": channel,
        "address": address,
        "lane": "campaign",
        "payload": "{}",
        "created_at": NINE,
        "due": NINE,
        "deadline": NINE + timedelta(days=1),
        "status": "accepted",
        "purpose": "review",
        "occurrence_id": 1,
        "message_id": 1,
    }
    return made | more


def test_where_all_is_well_nothing_is_found(tmp_path: Path) -> None:
    world = World()
    report = world.run(tmp_path, "--quota", "1")

    assert report.good, str(report)
    assert report.figures["campaign messages that arrived"] == 2
    assert report.figures["unasked messages"] == 2
    command = [sys.executable, "-m", "tests.checker", *world.command]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


# --- every violation, planted ----------------------------------------------------------------


def twice(world: World) -> None:
    world.line.append(_push("U1", "another key", NINE.timestamp()))


def too_fast(world: World) -> None:
    world.line += [_push(f"U{n}", f"k{n}", NINE.timestamp(), "") for n in range(2, 2200)]


def without_key(world: World) -> None:
    world.line.append(_push("U1", "x", NINE.timestamp(), "") | {"headers": {}})


def to_too_many(world: World) -> None:
    multicast = {"path": "/v2/bot/message/multicast", "delivered": 0, "billed": 0}
    body = {"to": ["U1"] * 501, "messages": [{"type": "text"}]}
    world.line.append(world.line[0] | multicast | {"body": body})


def over_the_quota(world: World) -> None:
    world.line.append(_push("U9", "x", NINE.timestamp(), ""))


def inside_a_window(world: World) -> None:
    refused = {"status": 429, "window": 1.0, "delivered": 0}
    world.telegram.append(_message(3, NINE.timestamp(), **refused))


def bot_too_fast(world: World) -> None:
    sent = [_message(n, NINE.timestamp(), params={"chat_id": n}) for n in range(3, 400)]
    world.telegram += sent


def chat_too_fast(world: World) -> None:
    at = NINE.timestamp()
    world.telegram += [_message(3, at + n / 9, params={"chat_id": 3}) for n in range(5)]


def open_row(world: World) -> None:
    world.rows.append(_row(3, "line", "U1", learner_id=1, status="queued", occurrence_id=None))


def lost(world: World) -> None:
    world.line.clear()


def denied(world: World) -> None:
    world.rows[0]["status"] = "expired"


def without_a_row(world: World) -> None:
    world.line.append(_push("U8", "x", NINE.timestamp()))


def two_rows(world: World) -> None:
    world.rows.append(_row(1, "line", "U1", key="1:01", status="cancelled"))


def at_night(world: World) -> None:
    world.line[0] |= _at((NINE + timedelta(hours=12)).timestamp())


def at_lunch(world: World) -> None:
    world.line[0] |= _at((NINE + timedelta(hours=3, minutes=30)).timestamp())


def on_a_holiday(world: World) -> None:
    world.line[0] |= _at(datetime(2026, 12, 10, 2, 0, tzinfo=UTC).timestamp())


def at_night_where_they_are(world: World) -> None:
    world.zone = "America/New_York"


def twice_a_day(world: World) -> None:
    world.rows.append(_row(1, "line", "U1", key="2:1", occurrence_id=2, message_id=None))
    world.line.append(_push("U1", str(uuid5(CAMPAIGNS, "2:1")), NINE.timestamp() + 60, "other"))


def after_a_stop(world: World) -> None:
    before = NINE.timestamp() - 5
    world.people.append({"at": before, "channel": "line", "address": "U1", "what": "stop"})


def after_a_block(world: World) -> None:
    before = NINE.timestamp() - 5
    world.people.append({"at": before, "channel": "telegram", "address": "2", "what": "unfollow"})


def after_withdrawal(world: World) -> None:
    before = NINE.timestamp() - 5
    world.rows[0] |= {"lane": "personal", "message_id": None}
    world.rows[0]["key"] = world.line[0]["headers"]["X-Line-Retry-Key"]
    world.people.append({"at": before, "channel": "line", "address": "U1", "what": "withdraw"})


PLANTED: list[tuple[Callable[[World], None], str]] = [
    (twice, "arrived twice"),
    (too_fast, "LINE: too fast"),
    (without_key, "LINE: malformed"),
    (to_too_many, "LINE: malformed"),
    (over_the_quota, "LINE: over the quota"),
    (inside_a_window, "Telegram: inside a retry_after window"),
    (bot_too_fast, "Telegram: too fast"),
    (chat_too_fast, "Telegram: a chat too fast"),
    (open_row, "rows that have not ended"),
    (lost, "accepted, and never arrived"),
    (denied, "arrived, and the row denies it"),
    (without_a_row, "arrived without a row"),
    (two_rows, "two rows of an occurrence"),
    (at_night, "outside permitted hours"),
    (at_lunch, "outside permitted hours"),
    (on_a_holiday, "outside permitted hours"),
    (at_night_where_they_are, "outside permitted hours"),
    (twice_a_day, "more than one a day"),
    (after_a_stop, "after stop, unfollow or withdrawal"),
    (after_a_block, "after stop, unfollow or withdrawal"),
    (after_withdrawal, "after stop, unfollow or withdrawal"),
]


@pytest.mark.parametrize(("plant", "kind"), PLANTED, ids=[plant.__name__ for plant, _ in PLANTED])
def test_a_planted_violation_is_found(
    plant: Callable[[World], None], kind: str, tmp_path: Path
) -> None:
    world = World()
    plant(world)
    report = world.run(tmp_path, "--quota", "1")

    assert report.violations[kind], str(report)


def test_every_kind_of_violation_is_planted(tmp_path: Path) -> None:
    assert set(World().run(tmp_path).violations) == {kind for _, kind in PLANTED}


def test_a_violation_is_told_by_the_exit_code(tmp_path: Path) -> None:
    world = World()
    twice(world)
    world.run(tmp_path)
    command = [sys.executable, "-m", "tests.checker", *world.command]
    ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)

    assert ended.returncode == 1
    assert "X arrived twice" in ended.stdout


@pytest.mark.parametrize("ended", ["uncertain", "cancelled"])
def test_what_is_marked_uncertain_may_be_missing(tmp_path: Path, ended: str) -> None:
    world = World()
    world.telegram.clear()
    world.rows[1]["status"] = ended
    report = world.run(tmp_path)

    assert report.good, str(report)
    assert report.figures["of them truly missing"] == (ended == "uncertain")


def test_who_has_come_back_may_be_written_to(tmp_path: Path) -> None:
    world = World()
    for what, ago in (("stop", 50), ("resume", 5)):
        at = NINE.timestamp() - ago
        world.people.append({"at": at, "channel": "line", "address": "U1", "what": what})

    assert world.run(tmp_path).good


def test_it_shares_nothing_with_the_product() -> None:
    source = (ROOT / "tests" / "checker.py").read_text(encoding="utf-8")

    for name in ("bot", "flows", "storage", "content", "tests"):
        assert f"\nfrom {name}" not in source
        assert f"\nimport {name}" not in source
