"""What a segment's form offers, and what is said of those who would get a campaign."""

from typing import Any

from sqlalchemy import Connection, select

from bot.console.pages import Visit
from content.lint import BANDS, FINISHED, PUSHED, UNFINISHED
from content.schema import LANGS
from flows import reports as said
from flows.schedule import WEEKDAYS
from flows.segments import describe
from storage import named
from storage.audience import Glance
from storage.models import units

UNITS = 500
"""Units that are offered as boxes; of others the name is typed."""
Option = tuple[str, str]


def options(conn: Connection, visit: Visit, chosen: list[str]) -> dict[str, Any]:
    """What the fields may be set to; units are those that the viewer may send to."""
    content, lang = visit.app.content, visit.lang
    copy = content.copy_[lang]
    steps = [(step.id, step.name.of(lang)) for step in content.method.steps]
    steps += [(each, copy["segment_" + each]) for each in (UNFINISHED, FINISHED)]
    mine = select(units.c.path).where(visit.scope.covers("send", units.c.id))
    paths = list(conn.execute(mine.order_by(units.c.path).limit(UNITS + 1)).scalars())
    offered = list(dict.fromkeys([*paths[:UNITS], *chosen]))
    return {
        "groups": [(group.id, group.name.of(lang)) for group in content.framework.groups],
        "steps": steps,
        "areas": [(area.id, area.name.of(lang)) for area in content.framework.areas],
        "bands": [(band, copy["band_" + band]) for band in BANDS],
        "channels": [(each, copy["segment_channel_" + each]) for each in PUSHED],
        "languages": [(each, copy["segment_language_" + each]) for each in LANGS],
        "units": [(path, path) for path in offered],
        "more_units": len(paths) > UNITS,
        "days": [(day, visit.words["campaign_day_" + day]) for day in WEEKDAYS],
        "named": [(row.id, row.name) for row in named.listing(conn, visit.scope, limit=UNITS)],
    }


def counted(seen: Glance, visit: Visit) -> dict[str, Any]:
    """Who would get it and who would not, in words."""
    content, lang = visit.app.content, visit.lang
    copy = content.copy_[lang]
    return {
        "recipients": f"{seen.recipients:,}",
        "channels": [
            (copy["segment_channel_" + name], f"{many:,}") for name, many in seen.channels.items()
        ],
        "excluded": why(seen.excluded, visit),
        "times": [said.moment(each, lang) for each in seen.times],
    }


def why(excluded: dict[str, int], visit: Visit) -> list[Option]:
    copy = visit.app.content.copy_[visit.lang]
    return [(copy["campaign_why_" + reason], f"{many:,}") for reason, many in excluded.items()]


def described(segment: Any, visit: Visit) -> str:
    return describe(segment, visit.lang, visit.app.content)
