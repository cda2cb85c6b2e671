"""The dry run of a campaign in words: everything that the command prints."""

from datetime import datetime
from typing import Any

from bot.console import audiences
from bot.console.pages import Visit
from content.schema import Campaign
from flows import reports as said
from storage import audience, campaigns


async def dry_run(visit: Visit, row: Any) -> audience.DryRun:
    now, app = visit.app.clock(), visit.app
    safety = app.settings.line_safety
    return await visit.read(lambda conn: audience.look(conn, row.id, now, app.content, safety))


def told(run: audience.DryRun, spec: Campaign, visit: Visit) -> dict[str, Any]:
    """Everything that the command prints, in words."""
    words, lang = visit.words, visit.lang
    copy = visit.app.content.copy_[lang]
    notes = {"held_out": run.held_out, "waits": run.waits, "abroad": run.abroad}
    return {
        "problems": [each.text(lang, visit.app.content) for each in run.problems],
        "many": f"{run.recipients - run.held_out:,}",
        "channels": [
            (copy["segment_channel_" + name], f"{many:,}") for name, many in run.channels.items()
        ],
        "notes": [(words["campaign_note_" + key], f"{n:,}") for key, n in notes.items() if n],
        "waves": [
            (words["campaign_wave_number"].format(n=at, minutes=f"{wave.minutes:,}"), f"{n:,}")
            for at, (n, wave) in enumerate(zip(run.waves, spec.waves, strict=False), 1)
        ],
        "excluded": audiences.why(run.excluded, visit),
        "times": [said.moment(each, lang) for each in run.times],
        "arrives": _other(run.arrives, run.times, visit),
        "ends": said.moment(run.ends, lang) if run.ends else "",
        "cost": _cost(run, visit),
        "once": campaigns.is_once(spec),
        "short": run.hash[:12],
    }


def _other(arrives: datetime | None, times: tuple[datetime, ...], visit: Visit) -> str:
    """When the first may arrive, where that is not the time of sending itself."""
    return said.moment(arrives, visit.lang) if arrives and arrives != times[0] else ""


def _cost(run: audience.DryRun, visit: Visit) -> list[str]:
    words, cost = visit.words, run.cost
    if cost is None:
        return [words["campaign_cost_none"]]
    if cost.most is None:
        return [words["campaign_cost_unlimited"].format(need=f"{cost.need:,}")]
    left, room = cost.most - cost.used, cost.room or 0
    numbers = {"need": cost.need, "left": left, "most": cost.most, "room": room}
    found = [words["campaign_cost"].format(**{key: f"{n:,}" for key, n in numbers.items()})]
    return found + [
        words["campaign_gives_way"].format(
            n=f"{many:,}", purpose=words["campaign_purpose_" + purpose]
        )
        for purpose, many in cost.gives_way.items()
    ]
