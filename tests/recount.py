"""Reports counted once more, slowly and independently: plain Python over every row there is."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from statistics import mean, stdev
from typing import Any

from msgspec.json import decode

from content.schema import Content
from flows.calendar import local
from storage.outcomes import LEARNING
from tests.random_agency import TODAY

Tables = dict[str, list[dict[str, Any]]]


class Recount:
    """What a viewer of some units (paths; empty: the whole agency) should be told. Whoever has
    restricted the use of their data is nowhere in it."""

    def __init__(self, tables: Tables, tops: tuple[str, ...] = ("",), group: str = "") -> None:
        self.tables = tables
        self.whole = "" in tops
        self.paths = {row["id"]: row["path"] for row in tables["units"]}
        self.units = {id for id, path in self.paths.items() if any(_in(path, t) for t in tops)}
        free = [row for row in tables["profiles"] if not row["restricted"]]
        held = {row["person_id"] for row in tables["profiles"] if row["restricted"]}
        self.staff = {
            row["id"]: row
            for row in tables["persons"]
            if row["unit_id"] in self.units
            and (row["left_on"] == 0 or row["left_on"] > TODAY)
            and row["id"] not in held
        }
        self.learners = {
            row["learner_id"]: row
            for row in free
            if row["person_id"] in self.staff and (not group or row["personnel_group"] == group)
        }
        self.guests = {
            row["learner_id"]: row
            for row in free
            if self.whole
            and row["person_id"] is None
            and (not group or row["personnel_group"] == group)
        }
        self.group = group

    @property
    def everybody(self) -> dict[int, dict[str, Any]]:
        return self.learners | self.guests

    def funnel(self) -> Counter[tuple[str, str, str]]:
        """People by unit, group and step."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for row in self.learners.values():
            path = self.paths[self.staff[row["person_id"]]["unit_id"]]
            counts[path, row["personnel_group"], row["step"]] += 1
        for row in self.guests.values():
            counts["", row["personnel_group"], row["step"]] += 1
        joined = {row["person_id"] for row in self.learners.values()}
        for id, person in self.staff.items():
            if id not in joined and not self.group:
                counts[self.paths[person["unit_id"]], "", "not_joined"] += 1
        return counts

    def skills(self, round_: int) -> dict[tuple[str, str], Counter[str]]:
        """Bands by area and when."""
        bands: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for row in self._measured(round_):
            bands[row["area"], "first"][_band(row["before"])] += 1
            if row["after"] is not None:
                bands[row["area"], "before"][_band(row["before"])] += 1
                bands[row["area"], "after"][_band(row["after"])] += 1
        return bands

    def gains(self, round_: int) -> dict[str, tuple[float, float]]:
        """Mean gain and its standard error by area."""
        changes: dict[str, list[float]] = defaultdict(list)
        for row in self._measured(round_):
            if row["after"] is not None:
                changes[row["area"]].append(row["after"] - row["before"])
        return {
            area: (mean(found), stdev(found) / len(found) ** 0.5)
            for area, found in changes.items()
            if len(found) > 1
        }

    def _measured(self, round_: int) -> list[dict[str, Any]]:
        return [
            row
            for row in self.tables["measures"]
            if row["learner_id"] in self.everybody
            and row["round"] == round_
            and row["before"] is not None
        ]

    def activity(self) -> dict[tuple[int, str], tuple[int, int]]:
        """People and times by Monday and kind; here leavers count: they did it when they were."""
        theirs = {
            row["learner_id"]
            for row in self.tables["profiles"]
            if (self.whole or row["unit_id"] in self.units) and not row["restricted"]
        }
        who: dict[tuple[int, str], set[int]] = defaultdict(set)
        times: Counter[tuple[int, str]] = Counter()
        for row in self.tables["facts"]:
            if row["learner_id"] in theirs and row["kind"] in LEARNING:
                day = local(row["at"]).date()
                first = (day - timedelta(days=day.weekday())).toordinal()
                for kind in (row["kind"], "any"):
                    who[first, kind].add(row["learner_id"])
                    times[first, kind] += 1
        return {key: (len(who[key]), times[key]) for key in who}

    def evidence(self) -> dict[str, Counter[str]]:
        """Uses by unit."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        people: dict[str, set[int]] = defaultdict(set)
        for row in self.tables["evidence"]:
            if row["learner_id"] in self.learners:
                who = self.learners[row["learner_id"]]
                path = self.paths[who["unit_id"]]
                counts[path]["uses"] += 1
                counts[path]["confirmed"] += row["confirmed_at"] is not None
                counts[path]["shared"] += row["shared"]
                counts[path]["chosen"] += row["status"] == "chosen"
                people[path].add(row["learner_id"])
        for person in self.staff.values():
            counts[self.paths[person["unit_id"]]]["staff"] += 1
        for path, who in people.items():
            counts[path]["people"] = len(who)
        return counts

    def behind(self, last_day: int) -> set[int]:
        """Persons who have not joined, or have not finished and done nothing since that day."""
        known = {row["person_id"]: row for row in self.tables["profiles"]}
        found = set()
        for id in self.staff:
            row = known.get(id, {"active_on": 0, "step": ""})
            if row["active_on"] <= last_day and row["step"] != "done":
                found.add(id)
        return found


def items(tables: Tables, until: datetime, content: Content) -> dict[str, dict[str, Any]]:
    """What is known of each question from every answer up to a moment."""
    before = {
        (row["learner_id"], row["round"], row["area"]): row["before"] for row in tables["measures"]
    }
    held = {row["learner_id"] for row in tables["profiles"] if row["restricted"]}
    found: dict[str, dict[str, Any]] = {}
    for row in tables["facts"]:
        if row["kind"] != "answered" or row["at"] > until or row["learner_id"] in held:
            continue
        said = decode(row["data"])
        if said["purpose"] == "recall":
            continue
        here = found.setdefault(said["question"], {"options": [], "right": [], "pairs": []})
        here["options"].append(said["option"])
        here["right"].append(said["right"])
        able = before.get((row["learner_id"], said["round"], said["area"]))
        if able is not None and said["purpose"] in ("quiz", "retest"):
            here["pairs"].append((float(said["right"]), able))
    return found


def pearson(pairs: list[tuple[float, float]]) -> float | None:
    """The correlation, by its definition."""
    if len(pairs) < 2:
        return None
    xs, ys = zip(*pairs, strict=True)
    mx, my = mean(xs), mean(ys)
    over = sum((x - mx) * (y - my) for x, y in pairs)
    under = (sum((x - mx) ** 2 for x in xs) * sum((y - my) ** 2 for y in ys)) ** 0.5
    return over / under if under else None


def _in(path: str, top: str) -> bool:
    parts, tops = path.split(" / "), top.split(" / ")
    return not top or parts[: len(tops)] == tops


def _band(ability: float) -> str:
    return "strengthen" if ability < -0.35 else "strong" if ability > 0.35 else "fair"
