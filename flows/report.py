"""The annual report to OCSC as figures: made of what was counted, small groups left out."""

from collections.abc import Sequence
from math import sqrt
from typing import Any, Literal

from msgspec import Struct, field

from content.schema import Content, Named, Programme, SkillGroup
from flows.programme import Maturity, maturity
from flows.suppression import Compared, Shown, is_small, shield

Many = int | None
"""None: not shown, because so few people would be."""
Audience = Literal["ocsc", "internal"]
Z = 1.959963984540054
"""Of 95 %."""
BANDS = ("strengthen", "fair", "strong")
TOTAL = "total"


class Pairs(Struct):
    """Sums over people who were measured before and after: what a paired comparison is made of."""

    n: int = 0
    before: float = 0.0
    after: float = 0.0
    change: float = 0.0
    squares: float = 0.0
    """Of the changes."""
    bands_before: list[int] = field(default_factory=lambda: [0, 0, 0])
    bands_after: list[int] = field(default_factory=lambda: [0, 0, 0])

    def add(self, other: "Pairs") -> None:
        self.n += other.n
        self.before += other.before
        self.after += other.after
        self.change += other.change
        self.squares += other.squares
        for mine, theirs in (
            (self.bands_before, other.bands_before),
            (self.bands_after, other.bands_after),
        ):
            mine[:] = [a + b for a, b in zip(mine, theirs, strict=True)]


class Story(Struct):
    """A use at work that HR chose, in words that name nobody."""

    text: str
    confirmed: bool


class Counted(Struct):
    """All that was counted for one fiscal year, nothing left out; days and moments are ISO 8601."""

    year: int
    agency: str
    first: str
    last: str
    made_at: str
    roster: int
    groups: dict[str, dict[str, int]]
    """By personnel group: people, each step, feedback, certified, used, confirmed, shared."""
    pairs: dict[str, dict[str, Pairs]]
    """By personnel group and area."""
    methods: dict[str, tuple[int, int]]
    """By kind of fact: how often, and by how many people (as far as it is told)."""
    stories: list[Story]
    programme: dict[str, Any] | None
    previous: dict[str, Any] | None
    """The key figures of last year's frozen report."""
    quality: dict[str, int]


class GroupRow(Struct):
    id: str
    name: str
    counts: dict[str, Many]


class Change(Struct):
    """Means before and after (logits), and their difference with its 95 % interval; `verdict` is
    rose, fell, chance (not distinguishable from it), or empty where nothing is shown."""

    n: Many
    before: float | None = None
    after: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: str = ""


class AreaRow(Struct):
    id: str
    name: str
    change: Change
    bands_before: list[Many]
    bands_after: list[Many]
    groups: dict[str, Change]


class MethodRow(Struct):
    id: str
    name: str
    kind: str
    times: Many
    hours: float | None
    share: float | None


class MappedRow(Struct):
    kind: str
    old: str
    new: list[str]
    note: str


class Report(Struct):
    """What the report says, with every name that it uses, so that later edits do not move it.
    `version` counts the frozen ones of a year; 0 is a draft."""

    year: int
    audience: Audience
    version: int
    replaces: int
    least: int
    agency: str
    first: str
    last: str
    made_at: str
    names: dict[str, str]
    steps: dict[str, str]
    roster: Many
    groups: list[GroupRow]
    """The last one is the sum."""
    areas: list[AreaRow]
    methods: list[MethodRow]
    lecture_share: float | None
    stories: list[Story]
    maturity: Maturity | None
    mapping: list[MappedRow]
    programme: dict[str, Any] | None
    key: dict[str, Many | float | str]
    previous: dict[str, Any] | None
    quality: dict[str, Many]


def make(
    counted: Counted, audience: Audience, content: Content, version: int = 0, replaces: int = 0
) -> Report:
    """The report for OCSC, or the agency's own with small groups, too."""
    least = content.layout.least if audience == "ocsc" else 1
    groups = _groups(counted, content, least)
    areas = _areas(counted, content, least)
    methods, lecture = _methods(counted, content, least)
    programme = Programme.model_validate(counted.programme) if counted.programme else None
    ripe = maturity(programme.maturity, content.cycle) if programme else None
    total = groups[-1].counts
    roster = None if _either_small(counted.roster, total["people"], least) else counted.roster
    return Report(
        year=counted.year,
        audience=audience,
        version=version,
        replaces=replaces,
        least=least,
        agency=counted.agency,
        first=counted.first,
        last=counted.last,
        made_at=counted.made_at,
        names=_names(content),
        steps={step.id: step.name.th for step in content.method.steps},
        roster=roster,
        groups=groups,
        areas=areas,
        methods=methods,
        lecture_share=lecture,
        stories=counted.stories,
        maturity=ripe if ripe and ripe.answered else None,
        mapping=_mapping(content),
        programme=_public(programme, content) if programme else None,
        key=_key(total, lecture, ripe, content),
        previous=counted.previous,
        quality=_quality(counted, roster, least),
    )


def _names(content: Content) -> dict[str, str]:
    return {
        "method": content.method.name.th,
        "method_label": content.method.label.th if content.method.status == "default" else "",
        "framework": content.framework.name.th,
        "framework_id": content.framework.id,
        "framework_issued": content.framework.issued,
        "newer": content.newer.name.th,
        "newer_id": content.newer.id,
        "newer_issued": content.newer.issued,
    }


# --- people ----------------------------------------------------------------------------


def _groups(counted: Counted, content: Content, least: int) -> list[GroupRow]:
    """Each personnel group and their sum. What counts most is shown before what counts less: how
    many took part, how many finished, then the steps from the last to the first."""
    steps = [step.id for step in reversed(content.method.steps)]
    walked = ("people", *steps, "feedback", "certified")
    applied = ("used", "confirmed", "shared")
    names = {group.id: group.name.th for group in content.framework.groups}
    names |= {id: content.layout.words["no_group"] for id in counted.groups if id not in names}
    ids = [id for id in names if id in counted.groups or id in counted.pairs]
    said: dict[str, dict[str, Many]] = {id: {} for id in (*ids, TOTAL)}
    tables: tuple[tuple[tuple[str, ...], Compared], ...] = ((walked, "all"), (applied, "first"))
    for keys, compared in tables:
        rows = [[counted.groups.get(id, {}).get(key, 0) for key in keys] for id in ids]
        shown: Shown = shield(rows, least, compared) or [[0 for _ in keys]]
        for id, counts in zip(said, shown, strict=True):
            said[id].update(zip(keys, counts, strict=True))
    names[TOTAL] = content.layout.words["total"]
    return [GroupRow(id, names[id], counts) for id, counts in said.items()]


def _either_small(whole: int, part: Many, least: int) -> bool:
    return is_small(whole, least) or is_small(whole - (part or 0), least)


# --- before and after ------------------------------------------------------------------


def _areas(counted: Counted, content: Content, least: int) -> list[AreaRow]:
    ids, areas = list(counted.pairs), content.framework.areas
    none = Pairs()
    rows = [[counted.pairs[id].get(area.id, none).n for area in areas] for id in ids]
    shown = shield(rows, least) or [[0] * len(areas)]
    found = []
    for at, area in enumerate(areas):
        whole = Pairs()
        for id in ids:
            whole.add(counted.pairs[id].get(area.id, none))
        groups = {
            id: change(counted.pairs[id].get(area.id, none), row[at])
            for id, row in zip(ids, shown, strict=False)
        }
        total = change(whole, shown[-1][at])
        before, after = (
            _bands(bands, total.n, least) for bands in (whole.bands_before, whole.bands_after)
        )
        found.append(AreaRow(area.id, area.name.th, total, before, after, groups))
    return found


def _bands(bands: Sequence[int], n: Many, least: int) -> list[Many]:
    if n is None:
        return [None] * len(bands)
    return [row[0] for row in shield([[many] for many in bands], least, "none")[:-1]]


def change(pairs: Pairs, n: Many) -> Change:
    """The paired comparison, where it may be shown."""
    if not n:
        return Change(n)
    value, before, after = (
        _rounded(total / n) for total in (pairs.change, pairs.before, pairs.after)
    )
    if n < 2:
        return Change(n, before, after, value)
    mean = pairs.change / n
    spread = sqrt(max(pairs.squares - n * mean * mean, 0.0) / (n - 1))
    half = quantile(n - 1) * spread / sqrt(n)
    low, high = mean - half, mean + half
    verdict = "chance" if low <= 0 <= high else "rose" if mean > 0 else "fell"
    return Change(n, before, after, value, _rounded(low), _rounded(high), verdict)


def quantile(freedom: int) -> float:
    """The 97.5 % point of Student's t, by its expansion about the normal (to 2 % from 3 on)."""
    z, f = Z, freedom
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / f + second / f**2 + third / f**3


def _rounded(value: float) -> float:
    return round(value, 3) + 0.0


# --- methods ---------------------------------------------------------------------------


def _methods(
    counted: Counted, content: Content, least: int
) -> tuple[list[MethodRow], float | None]:
    """Person-hours of each way of developing people: planned minutes times how often, and what HR
    noted of workshops; and the share of lectures."""
    held = (counted.programme or {}).get("workshop", ())
    rows = []
    for way in content.layout.methods:
        times, people = counted.methods.get(way.fact, (0, 0)) if way.fact else (0, least)
        hours = times * way.minutes / 60
        for workshop in held:
            if workshop["method"] == way.id:
                times += 1
                hours += workshop["hours"] * workshop["people"]
        if times:
            few = is_small(people, least)
            rows.append((way, None if few else times, hours, few))
    whole = sum(hours for _, _, hours, _ in rows)
    lecture = sum(hours for way, _, hours, _ in rows if way.kind == "lecture")
    said = [
        MethodRow(
            way.id,
            way.name,
            way.kind,
            times,
            None if few else round(hours, 1),
            None if few or not whole else _rounded(hours / whole),
        )
        for way, times, hours, few in rows
    ]
    return said, _rounded(lecture / whole) if whole else None


# --- the agency ------------------------------------------------------------------------


def _public(programme: Programme, content: Content) -> dict[str, Any]:
    """A programme as it stands in the report: positions and duties, nobody's name or id."""
    plain = programme.model_dump(mode="json", by_alias=True)
    group = plain["working_group"]
    for member in (group["head"], *group["member"]):
        member.pop("hr_id")
    names = {stage.id: stage.name.th for stage in content.cycle.stages}
    entries = {entry["id"]: entry for entry in plain["stage"]}
    plain["stage"] = [
        {**entries.get(id, {"id": id, "state": "planned"}), "name": name}
        for id, name in names.items()
    ]
    groups = {each.id: each.name.th for each in content.framework.groups}
    for plan in plain["plan"]:
        plan["name"] = groups.get(plan["group"], plan["group"])
    answers = programme.maturity
    plain["levels"] = [
        {
            "id": level.id,
            "name": level.name.th,
            "about": level.about.th,
            "signs": [[sign.text.th, answers.get(sign.id)] for sign in level.signs],
        }
        for level in content.cycle.levels
    ]
    return plain


def _key(
    total: dict[str, Many], lecture: float | None, ripe: Maturity | None, content: Content
) -> dict[str, Many | float | str]:
    """The figures that next year's report compares with."""
    levels = {level.id: level.name.th for level in content.cycle.levels}
    names = ("people", "feedback", "certified", "used", "confirmed", "shared")
    return {
        **{name: total[name] for name in names},
        "finished": total[content.method.steps[-1].id],
        "lecture_share": lecture,
        "level": levels.get(ripe.level, "") if ripe else "",
    }


def _mapping(content: Content) -> list[MappedRow]:
    old: dict[str, Sequence[Any]] = {
        "group": content.framework.groups,
        "skill_group": content.framework.skill_groups,
    }
    new: dict[str, Sequence[Named | SkillGroup]] = {
        "group": content.newer.roles,
        "skill_group": content.newer.skill_groups,
    }

    def name(among: Sequence[Any], id: str) -> str:
        return next((str(each.name.th) for each in among if each.id == id), id)

    return [
        MappedRow(
            each.kind,
            name(old[each.kind], each.old),
            [name(new[each.kind], id) for id in each.new],
            each.note.th,
        )
        for each in content.mapping
    ]


def _quality(counted: Counted, roster: Many, least: int) -> dict[str, Many]:
    quality: dict[str, Many] = {
        key: None if is_small(many, least) else many for key, many in counted.quality.items()
    }
    if roster is not None and is_small(roster - counted.quality["linked"], least):
        quality["linked"] = None
    return quality
