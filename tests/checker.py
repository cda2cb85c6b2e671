"""Reads what the simulators wrote down and what the database says, and holds both against the
promises. It shares no code with the product, so that it cannot share its mistakes.

    python -m tests.checker --line line.jsonl --telegram telegram.jsonl --database sqlite:///x.db

A campaign's message is known by a mark in its text, `[#…]`. `--people` names a JSONL file of what
people did ({"at", "channel", "address", "what": stop|resume|unfollow|follow|withdraw|consent}),
`--shift` the seconds by which the service's clock was ahead of the simulators'. Prints a table;
the exit code is 1 if there is a violation.
"""

import argparse
import json
import re
import sys
import tomllib
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from sqlalchemy import create_engine, text

Json = dict[str, Any]
CONTENT = Path(__file__).parents[1] / "content"
AGENCY = "Asia/Bangkok"
MARK = re.compile(r"\[#[^\]]+\]")
CAMPAIGNS = UUID("b9d2a1f4-6f0e-5a37-9c41-7f2f6f0d9b11")
"""Retry keys of a campaign's single pushes are made of this and the row's own key."""
ENDED = ("accepted", "failed", "expired", "cancelled", "uncertain")
CAPPED = ("mandatory", "due", "review", "encouragement")
RATES = {"push": 2000, "multicast": 200, "reply": 2000}
SLACK = 1.05
"""Requests are counted when they arrive, and some catch up with those before them."""
GRACE = 0.25
"""Seconds in which a bot may not have read yet that it must wait."""


@dataclass
class Delivery:
    """Something that arrived. `key` and `token` are the request's, `number` the message's own;
    `row` is the outbox row behind it, once it is found."""

    channel: str
    address: str
    at: float
    mark: str = ""
    key: str = ""
    token: str = ""
    number: str = ""
    row: Json | None = None


@dataclass
class Report:
    """What was counted, and every violation with its kind."""

    figures: dict[str, int] = field(default_factory=dict)
    violations: dict[str, list[str]] = field(default_factory=dict)

    def count(self, what: str, many: int) -> None:
        self.figures[what] = self.figures.get(what, 0) + many

    def hold(self, kind: str, found: Iterable[str]) -> None:
        self.violations.setdefault(kind, []).extend(found)

    @property
    def good(self) -> bool:
        return not any(self.violations.values())

    def __str__(self) -> str:
        lines = [f"  {what:<44}{many:>9,}" for what, many in self.figures.items()]
        for kind, found in self.violations.items():
            lines.append(f"{'X' if found else ' '} {kind:<44}{len(found):>9,}")
            lines += [f"      {one}" for one in found[:5]]
        return "\n".join(lines)


# --- what arrived ----------------------------------------------------------------------------


def read(path: Path | None) -> list[Json]:
    """The requests of a history; a line that a kill has cut short is no request."""
    if path is None:
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if "hook" not in record:
            found.append(record)
    return found


def line_deliveries(history: Iterable[Json], shift: float = 0.0) -> Iterator[Delivery]:
    for record in history:
        if not record.get("delivered"):
            continue
        body, missed = record["body"], set(record.get("missed", ()))
        to = record.get("user") or body["to"]
        said = " ".join(message.get("text", "") for message in body["messages"])
        for address in [to] if isinstance(to, str) else to:
            if address not in missed:
                yield Delivery(
                    "line",
                    address,
                    record["wall"] + shift,
                    _mark(said),
                    record["headers"].get("X-Line-Retry-Key", ""),
                    body.get("replyToken", ""),
                )


def telegram_deliveries(history: Iterable[Json], shift: float = 0.0) -> Iterator[Delivery]:
    for record in history:
        if record.get("delivered"):
            given = record["params"]
            said = str(given.get("text") or given.get("caption") or "")
            number = str(record.get("message_id", ""))
            at = record["wall"] + shift
            yield Delivery("telegram", str(given["chat_id"]), at, _mark(said), number=number)


def _mark(said: str) -> str:
    found = MARK.search(said)
    return found[0] if found else ""


def check_doubled(report: Report, deliveries: Iterable[Delivery]) -> None:
    """Nobody gets the same campaign twice."""
    got = Counter((d.channel, d.address, d.mark) for d in deliveries if d.mark)
    report.count("campaign messages that arrived", got.total())
    report.hold("arrived twice", (f"{who}: {n} times" for who, n in got.items() if n > 1))


# --- the platforms' limits -------------------------------------------------------------------


def check_line(report: Report, history: list[Json], quota: int | None, shift: float) -> None:
    sends = [r for r in history if r["path"].rsplit("/", 1)[1] in RATES]
    report.count("requests to LINE", len(sends))
    by_path: dict[str, list[float]] = defaultdict(list)
    for record in sends:
        by_path[record["path"].rsplit("/", 1)[1]].append(record["mono"])
    for name, times in by_path.items():
        report.hold("LINE: too fast", _too_many(times, 1.0, RATES[name] * SLACK, name))
    report.hold("LINE: malformed", (problem for r in sends if (problem := _malformed(r))))
    billed: Counter[str] = Counter()
    for record in sends:
        at = datetime.fromtimestamp(record["wall"] + shift, ZoneInfo(AGENCY))
        billed[f"{at:%Y-%m}"] += record.get("billed", 0)
    report.count("LINE messages billed", billed.total())
    over = (f"{month}: {n}" for month, n in billed.items() if quota is not None and n > quota)
    report.hold("LINE: over the quota", over)


def _malformed(record: Json) -> str:
    body, name = record["body"] or {}, record["path"].rsplit("/", 1)[1]
    keyed = "X-Line-Retry-Key" in record["headers"]
    if not 1 <= len(body.get("messages", ())) <= 5:
        return f"{name} with {len(body.get('messages', ()))} messages"
    if name == "multicast" and not 1 <= len(body.get("to", ())) <= 500:
        return f"multicast to {len(body.get('to', ()))}"
    if keyed == (name == "reply"):
        return f"{name} {'with' if keyed else 'without'} a retry key"
    return ""


def check_telegram(report: Report, history: list[Json], rate: float) -> None:
    sends = [r for r in history if r["method"] in ("sendMessage", "sendPhoto")]
    report.count("requests to Telegram", len(sends))
    report.count("of them throttled", sum(r["status"] == 429 for r in sends))
    inside = (r for r in sends if r.get("window", 0.0) > GRACE)
    told = (f"{r['params'].get('chat_id')} after {r['window']:.2f} s" for r in inside)
    report.hold("Telegram: inside a retry_after window", told)
    taken = [r for r in sends if r.get("delivered")]
    times = [r["mono"] for r in taken]
    report.hold("Telegram: too fast", _too_many(times, 10.0, rate * 11 * SLACK, "the bot"))
    chats: dict[str, list[float]] = defaultdict(list)
    for record in taken:
        chats[str(record["params"]["chat_id"])].append(record["mono"])
    for chat, at in chats.items():
        report.hold("Telegram: a chat too fast", _too_many(at, 3.0, 4, chat))


def _too_many(times: list[float], span: float, most: float, name: str) -> Iterator[str]:
    """The first moment at which more than `most` lie in one span."""
    times.sort()
    first = 0
    for last, at in enumerate(times):
        while times[first] <= at - span:
            first += 1
        if last - first + 1 > most:
            yield f"{name}: {last - first + 1} in {span:g} s"
            return


# --- the database ----------------------------------------------------------------------------


def database(url: str) -> tuple[list[Json], dict[int, Json]]:
    """Outbox rows, each with the mark of its message, and profiles by learner."""
    engine = create_engine(url)
    with engine.connect() as conn:
        if conn.dialect.name == "sqlite":
            conn.exec_driver_sql("PRAGMA query_only=ON")
        rows = [dict(row) for row in conn.execute(text("select * from outbox")).mappings()]
        said = {r.id: _mark(r.payload) for r in conn.execute(text("select * from messages"))}
        kept = conn.execute(text("select * from profiles")).mappings()
        profiles = {row["learner_id"]: dict(row) for row in kept}
    engine.dispose()
    for row in rows:
        row["mark"] = said.get(row["message_id"]) or _mark(row["payload"])
    return rows, profiles


def match(deliveries: Iterable[Delivery], rows: Iterable[Json]) -> None:
    """Find the row behind each delivery: by retry key, reply token, message number, or mark."""
    known: dict[tuple[str, str, str], Json] = {}
    for row in rows:
        to = (row["channel"], row["address"])
        for sign in (row["key"], row["chunk"], row["reply_token"], row["platform_id"], row["mark"]):
            if sign and not (sign == row["chunk"] and row["reason"] == "rode"):
                known[*to, sign] = row
        if row["lane"] == "campaign":
            known[*to, str(uuid5(CAMPAIGNS, row["key"]))] = row
    for one in deliveries:
        for sign in (one.key, one.token, one.number, one.mark):
            if sign and (row := known.get((one.channel, one.address, sign))):
                one.row = row
                break


def check_rows(report: Report, deliveries: list[Delivery], rows: list[Json]) -> None:
    """Every row has ended, and as it says."""
    ended = Counter(row["status"] for row in rows)
    report.count("outbox rows", len(rows))
    for status, many in sorted(ended.items()):
        report.count(f"of them {status}", many)
    open_ = (f"{r['key']}: {r['status']}" for r in rows if r["status"] not in ENDED)
    report.hold("rows that have not ended", open_)
    arrived = {d.row["id"] for d in deliveries if d.row}
    mute = [r for r in rows if r["id"] not in arrived and _of_platform(r)]
    missing = [r for r in mute if r["status"] == "accepted"]
    report.hold("accepted, and never arrived", (f"{r['key']} {r['address']}" for r in missing))
    report.count("uncertain", ended["uncertain"])
    report.count("of them truly missing", sum(r["status"] == "uncertain" for r in mute))
    never = ("failed", "expired", "cancelled")
    wrong = (d.row for d in deliveries if d.row and d.row["status"] in never)
    report.hold("arrived, and the row denies it", (f"{r['key']}: {r['status']}" for r in wrong))
    nobody = (f"{d.address} {d.mark}" for d in deliveries if d.mark and d.row is None)
    report.hold("arrived without a row", nobody)
    first = [r for r in rows if r["occurrence_id"] and r["key"].count(":") == 1]
    pairs = Counter((r["occurrence_id"], r["learner_id"]) for r in first)
    report.hold("two rows of an occurrence", (str(p) for p, n in pairs.items() if n > 1))


def _of_platform(row: Json) -> bool:
    """Told of by a platform's history: not what rode with another row or was only fetched."""
    return (
        row["channel"] in ("line", "telegram")
        and row["lane"] != "fetch"
        and row["reason"] != "rode"
    )


# --- whom, when, how often -------------------------------------------------------------------


def check_moments(
    report: Report, deliveries: Iterable[Delivery], profiles: dict[int, Json]
) -> None:
    """What nobody asked for arrives in permitted hours, one a day."""
    days: Counter[tuple[int, date]] = Counter()
    outside, unasked = [], 0
    for one in deliveries:
        row = one.row
        if row is None or row["purpose"] == "reply" or one.token:
            continue
        unasked += 1
        zone = profiles.get(row["learner_id"], {}).get("zone") or AGENCY
        here = datetime.fromtimestamp(one.at, ZoneInfo(zone))
        if not permitted(here, bool(row["chosen"])):
            outside.append(f"{row['purpose']} to {one.address} at {here:%a %Y-%m-%d %H:%M:%S %Z}")
        if row["purpose"] in CAPPED:
            days[row["learner_id"], here.date()] += 1
    report.count("unasked messages", unasked)
    report.hold("outside permitted hours", outside)
    report.hold("more than one a day", (f"{who}: {n}" for who, n in days.items() if n > 1))


def permitted(here: datetime, chosen: bool) -> bool:
    hours, off = _hours(), days_off()
    if here.date() in off or (here.weekday() >= 5 and not chosen):
        return False
    clock = f"{here:%H:%M:%S}"
    return any(first <= clock < last for first, last in hours["chosen" if chosen else "work"])


@cache
def _hours() -> dict[str, list[list[str]]]:
    found: Json = tomllib.loads((CONTENT / "nudges.toml").read_text(encoding="utf-8"))
    return dict(found["hours"])


@cache
def days_off() -> frozenset[date]:
    found: set[date] = set()
    for path in (CONTENT / "calendar").glob("*.toml"):
        year = tomllib.loads(path.read_text(encoding="utf-8"))
        found |= {day["date"] for name in ("holiday", "day") for day in year.get(name, ())}
    return frozenset(found)


def check_wishes(
    report: Report, deliveries: Iterable[Delivery], people: Iterable[Json], shift: float = 0.0
) -> None:
    """Nothing unasked after a stop or an unfollow; no nudge after consent was withdrawn. What
    was under way in the same second is nobody's fault."""
    ends = {"stop": "stop", "resume": "stop", "unfollow": "block", "follow": "block"}
    ends |= {"withdraw": "nudges", "consent": "nudges"}
    said: dict[tuple[str, str, str], list[tuple[float, bool]]] = defaultdict(list)
    for each in sorted(people, key=lambda each: each["at"]):
        off = each["what"] in ("stop", "unfollow", "withdraw")
        to = (each["channel"], each["address"], ends[each["what"]])
        said[to].append((each["at"] + shift, off))
    wrong = []
    for one in deliveries:
        if one.row is None or one.row["purpose"] == "reply" or one.token:
            continue
        nudge = one.row["lane"] == "personal" and one.row["purpose"] in CAPPED
        for wish in ("stop", "block", *(["nudges"] if nudge else [])):
            told = said.get((one.channel, one.address, wish), [])
            if _off(told, one.at) and _off(told, one.at - 1.0):
                wrong.append(f"{one.row['purpose']} to {one.address} after {wish}")
    report.hold("after stop, unfollow or withdrawal", wrong)


def _off(told: list[tuple[float, bool]], at: float) -> bool:
    """What somebody had said last at that moment."""
    before = bisect_right(told, (at, True))
    return before > 0 and told[before - 1][1]


# --- the program -----------------------------------------------------------------------------


def check(given: argparse.Namespace) -> Report:
    report = Report()
    line, telegram = read(given.line), read(given.telegram)
    deliveries = list(line_deliveries(line, given.shift))
    deliveries += telegram_deliveries(telegram, given.shift)
    check_doubled(report, deliveries)
    check_line(report, line, given.quota, given.shift)
    check_telegram(report, telegram, given.rate)
    if given.database:
        rows, profiles = database(given.database)
        match(deliveries, rows)
        check_rows(report, deliveries, rows)
        check_moments(report, deliveries, profiles)
        check_wishes(report, deliveries, read(given.people), given.shift)
    return report


def options(*args: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("line", "telegram", "people"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--database", default="")
    parser.add_argument("--shift", type=float, default=0.0)
    parser.add_argument("--quota", type=int, help="LINE messages a month")
    parser.add_argument("--rate", type=float, default=30.0, help="Telegram messages a second")
    return parser.parse_args(args)


if __name__ == "__main__":
    found = check(options(*sys.argv[1:]))
    print(found)
    sys.exit(not found.good)
