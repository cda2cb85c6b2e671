"""How far an officer's rights reach: which campaigns and segments are theirs to see and to send."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, insert, not_, or_, select, true

from content.lint import Problem
from content.schema import Campaign, Segment
from storage.models import campaign_units, campaigns, profiles, segment_units, segments
from storage.scope import Power, Scope

Condition = ColumnElement[bool]
SEND: Power = "send"


def covers(scope: Scope, units: Sequence[str], power: Power = SEND) -> bool:
    """Whether the viewer may send to all of these units; no unit is the whole agency."""
    return scope.whole(power) or (bool(units) and all(scope.may(power, unit) for unit in units))


def not_theirs(scope: Scope, segment: Segment, power: Power = SEND) -> list[Problem]:
    """What is wrong with a segment that goes beyond the viewer's units, if it does."""
    if covers(scope, segment.units, power):
        return []
    known = ", ".join(scope.paths(power))
    return [Problem(("segment", "units"), "not_yours", {"known": known})]


def narrowed(scope: Scope, spec: Campaign) -> Campaign:
    """A campaign that names no unit, for those units that the viewer may send to."""
    if spec.segment.units or scope.whole(SEND):
        return spec
    segment = spec.segment.model_copy(update={"units": scope.paths(SEND)})
    return spec.model_copy(update={"segment": segment})


def people(scope: Scope, power: Power = SEND) -> Condition:
    """A condition on `profiles`: those over whom the viewer has this power."""
    return scope.covers(power, profiles.c.unit_id)


def of_campaigns(scope: Scope) -> Condition:
    """Campaigns that the viewer may see: those for their own units alone."""
    mine = campaign_units.c.campaign_id == campaigns.c.id
    if scope.whole(SEND):
        return true()
    named = select(campaign_units.c.path).where(mine).exists()
    return (
        named & ~select(campaign_units.c.path).where(mine, _outside(scope, campaign_units)).exists()
    )


def of_segments(scope: Scope) -> Condition:
    """Named segments that the viewer may use: those that name no unit of others."""
    if scope.whole(SEND):
        return true()
    mine = segment_units.c.segment_id == segments.c.id
    return ~select(segment_units.c.path).where(mine, _outside(scope, segment_units)).exists()


def _outside(scope: Scope, table: Table) -> Condition:
    path = table.c.path
    inside = (
        or_(path == top, path.startswith(top + " / ", autoescape=True)) for top in scope.paths(SEND)
    )
    return not_(or_(*inside)) if scope.paths(SEND) else true()


def write(conn: Connection, table: Table, id: int, units: Iterable[str]) -> None:
    """Keep which units a campaign or a segment names, in place of those before."""
    of = next(iter(table.c))
    conn.execute(delete(table).where(of == id))
    rows: list[dict[str, Any]] = [{of.name: id, "path": path} for path in dict.fromkeys(units)]
    if rows:
        conn.execute(insert(table), rows)
