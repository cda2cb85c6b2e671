"""Facts that reports read often, kept in narrow tables too, in the transaction of the turn."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, bindparam, update

from flows.types import Record
from storage.gathered import insert_new
from storage.models import measures, milestones

Rows = list[dict[str, Any]]
_COLUMNS = {"baseline": "before", "retest": "after"}
"""Which columns of `measures` a fact of kind `measured` fills."""


class Projected(Struct):
    """What the turns of a batch add to the narrow tables."""

    milestones: Rows = []
    measures: Rows = []

    def note(self, learner_id: int, fact: Record, now: datetime) -> None:
        """Keep what of a fact the narrow tables hold."""
        if fact.kind == "step_done":
            at = {"learner_id": learner_id, "round": fact.data["round"], "step": fact.data["step"]}
            self.milestones.append({**at, "at": now})
        elif fact.kind == "measured":
            column = _COLUMNS[fact.data["when"]]
            for area, found in fact.data["areas"].items():
                at = {"learner_id": learner_id, "round": fact.data["round"], "area": area}
                known = {column: found["ability"], f"{column}_error": found["error"]}
                self.measures.append({**at, **known, f"{column}_at": now})

    def drop(self, learner_id: int) -> None:
        """Forget a learner who is erased in this batch."""
        self.milestones = [row for row in self.milestones if row["learner_id"] != learner_id]
        self.measures = [row for row in self.measures if row["learner_id"] != learner_id]

    def store(self, conn: Connection) -> None:
        if self.milestones:
            conn.execute(insert_new(conn, milestones).values(self.milestones))
        for column in _COLUMNS.values():
            rows = [row for row in self.measures if column in row]
            if rows:
                _measure(conn, column, rows)


def _measure(conn: Connection, column: str, rows: Sequence[dict[str, Any]]) -> None:
    """A row for each area, made by whichever of the two measures comes first; a repeated measure
    takes the place of the earlier one."""
    key = ("learner_id", "round", "area")
    conn.execute(
        insert_new(conn, measures).values([{name: row[name] for name in key} for row in rows])
    )
    where = [measures.c[name] == bindparam("key_" + name) for name in key]
    names = (column, f"{column}_error", f"{column}_at")
    conn.execute(
        update(measures).where(*where).values({name: bindparam("new_" + name) for name in names}),
        [
            {"key_" + name: row[name] for name in key}
            | {"new_" + name: row[name] for name in names}
            for row in rows
        ],
    )
