"""How a campaign is getting on while its page is open, and what became of it."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Connection, select
from starlette.responses import Response

from bot.console import live
from bot.console.campaign_editor import NEEDS, draft_of
from bot.console.pages import Page, Visit
from content.schema import Campaign
from flows.campaigns import Difference
from storage import campaigns, outcomes
from storage.models import occurrences

SPARE = 9
"""For so many times as long as a count took, nothing is counted again."""
ROWS = ("accepted", "failed", "uncertain", "expired", "cancelled")

# --- what goes on --------------------------------------------------------------------------


def moving(stand: outcomes.Stand, state: str, visit: Visit) -> dict[str, Any]:
    """The moving fields of the page."""
    size, over = stand.size, stand.over
    found: dict[str, Any] = {
        "state": visit.words["campaign_state_" + state],
        "reason": visit.words.get("campaign_reason_" + stand.reason, ""),
        "size": max(size, 1),
        "over_rows": over,
        "told": visit.words["campaign_progress"].format(n=f"{over:,}", of=f"{size:,}"),
        "open": f"{size - over:,}",
    }
    found |= {status: f"{stand.rows.get(status, 0):,}" for status in ROWS}
    for at, wave in enumerate(stand.waves):
        found |= {f"wave{at}": outcomes.ended(wave), f"wave{at}_size": max(sum(wave.values()), 1)}
        found[f"wave{at}_told"] = visit.words["campaign_progress"].format(
            n=f"{outcomes.ended(wave):,}", of=f"{sum(wave.values()):,}"
        )
    return found


def waves(stand: outcomes.Stand, spec: Campaign, visit: Visit) -> list[str]:
    """What the waves are called."""
    if not stand.waves:
        return []
    first = [
        visit.words["campaign_wave_number"].format(n=at, minutes=f"{wave.minutes:,}")
        for at, wave in enumerate(spec.waves, 1)
    ]
    return [*first, visit.words["campaign_wave_rest"]]


async def news(visit: Visit) -> Response:
    """What the page follows, until the campaign stands otherwise than it shows."""
    row, _ = await draft_of(visit)
    shown = visit.asked("state")
    counted = _sparing(lambda: visit.read(lambda conn: _standing(conn, row.id)))

    async def look() -> dict[str, Any]:
        state, stand = await counted()
        return moving(stand, state, visit) | {"over": state != shown}

    return live.follow(visit, look)


def _standing(conn: Connection, id: int) -> tuple[str, outcomes.Stand]:
    row = campaigns.find(conn, id)
    mine = select(occurrences.c.status).where(occurrences.c.campaign_id == id)
    return campaigns.state_of(row, list(conn.execute(mine).scalars())), outcomes.stand(conn, row)


def _sparing(
    count: Callable[[], Awaitable[tuple[str, outcomes.Stand]]],
) -> Callable[[], Awaitable[tuple[str, outcomes.Stand]]]:
    """The same figures again for nine times as long as it took to count them: a million rows are
    not counted every second."""
    kept: list[tuple[str, outcomes.Stand]] = []
    until = 0.0

    async def look() -> tuple[str, outcomes.Stand]:
        nonlocal until
        begun = time.monotonic()
        if not kept or begun >= until:
            kept[:] = [await count()]
            took = time.monotonic() - begun
            until = time.monotonic() + SPARE * took
        return kept[0]

    return look


# --- what became of it ---------------------------------------------------------------------


async def outcome(visit: Visit) -> Response:
    row, spec = await draft_of(visit)
    seen = await visit.read(lambda conn: outcomes.outcome(conn, row.id))
    words = visit.words
    known = [status for status in (*ROWS, "open") if status != "open"]
    rows = {status: seen.rows.get(status, 0) for status in known}
    rows["open"] = seen.size - sum(rows.values())
    return visit.show(
        "campaign_outcome",
        id=row.id,
        called=spec.name.of(visit.lang),
        size=f"{seen.size:,}",
        bars=[
            _bar(words["campaign_row_" + status], many, seen.size)
            for status, many in (rows | {"answered": seen.answered}).items()
            if many or status in ("accepted", "answered")
        ],
        reasons=[(_reason(key, visit), f"{many:,}") for key, many in seen.reasons.items()],
        others=[
            (words["campaign_resent"], f"{seen.resent:,}"),
            (words["campaign_held_out"], f"{seen.held_out:,}"),
        ],
        effects=[
            _effect("started", seen.started, visit),
            _effect("finished", seen.finished, visit),
        ],
        sent=bool(seen.size),
    )


def _bar(label: str, many: int, of: int) -> dict[str, Any]:
    share = 100 * many / of if of else 0
    return {"label": label, "many": f"{many:,}", "share": f"{share:.1f}", "wide": round(share, 1)}


def _reason(key: str, visit: Visit) -> str:
    status, _, why = key.partition(": ")
    words = visit.words
    called = words.get("campaign_row_" + status, words["campaign_row_open"])
    return f"{called}: {_because(why, visit)}"


def _because(why: str, visit: Visit) -> str:
    """The reason in words; an answer of the platform's that has none stays as it is."""
    words, copy = visit.words, visit.app.content.copy_[visit.lang]
    if why.startswith("deadline"):
        why = "deadline"
    return words.get("campaign_because_" + why) or copy.get("campaign_why_" + why, why)


def _effect(name: str, seen: outcomes.Effect, visit: Visit) -> dict[str, Any]:
    """What those did who got it and those who did not; and whether that is more than chance."""
    words = visit.words
    bars = [_bar(words["campaign_group_sent"], seen.sent, seen.of_sent)]
    change = seen.difference
    if change is not None:
        bars.append(_bar(words["campaign_group_held"], seen.held, seen.of_held))
    return {
        "title": words["campaign_effect_" + name],
        "bars": bars,
        "verdict": _verdict(change, visit),
    }


def _verdict(change: Difference | None, visit: Visit) -> str:
    words = visit.words
    if change is None:
        return words["campaign_verdict_none"]
    numbers = {name: f"{100 * getattr(change, name):+.1f}" for name in ("value", "low", "high")}
    told = words["campaign_interval"].format(**numbers)
    kind = "chance" if change.is_chance else "more" if change.value > 0 else "less"
    return told + " " + words["campaign_verdict_" + kind]


PAGES = (
    Page("/campaigns/{id:str}/news", news, NEEDS, place="campaigns"),
    Page("/campaigns/{id:str}/outcome", outcome, NEEDS, place="campaigns"),
)
