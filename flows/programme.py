"""The agency's own cycle: what is wrong with a programme, who may lead it, how mature it finds
itself."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise

from msgspec import Struct

from content.lint import Problem
from content.schema import Content, Cycle, Lang, Level, Programme, StageEntry
from flows.calendar import fiscal_bounds

STATES = ("planned", "under_way", "done", "put_off")
AROUND = timedelta(days=366)
"""So far from its fiscal year a programme's dates may be: a plan is made the year before."""
LEADS = "working-group"
"""The stage that is not done without a head."""


class Trouble(Problem):
    """Something in a programme, or in what is written for its report, that must be mended."""

    def say(self, lang: Lang, content: Content) -> str:
        sentence = content.copy_[lang]["programme_problem_" + self.key]
        return f"{'.'.join(map(str, self.loc))}: {sentence.format_map(self.slots)}"

    def show(self, lang: Lang, content: Content) -> str:
        """The sentence for a page, where its place is seen and nobody types a command."""
        words = content.copy_[lang]
        said = words.get("programme_shown_" + self.key) or words["programme_problem_" + self.key]
        sentence = said.format_map(self.slots)
        return sentence[:1].upper() + sentence[1:]


class Gap(Struct, frozen=True):
    """Something that the report has no words for yet: in which part of the programme, what, and of
    how many of them."""

    part: str
    key: str
    many: int = 1


class Maturity(Struct, frozen=True):
    """What the answers come to; no `level` as long as some are missing. `found` is how many of
    the signs of each level there are, of how many."""

    level: str
    answered: int
    asked: int
    found: dict[str, tuple[int, int]]


def maturity(answers: dict[str, bool], cycle: Cycle) -> Maturity:
    """The highest level of which more than half of the signs are there, and of all below it."""
    asked = [sign.id for level in cycle.levels for sign in level.signs]
    answered = sum(sign in answers for sign in asked)
    found = {level.id: _found(level, answers) for level in cycle.levels if level.signs}
    reached = cycle.levels[0].id
    for level, (some, of) in found.items():
        if 2 * some <= of:
            break
        reached = level
    return Maturity(reached if answered == len(asked) else "", answered, len(asked), found)


def _found(level: Level, answers: dict[str, bool]) -> tuple[int, int]:
    return sum(answers.get(sign.id, False) for sign in level.signs), len(level.signs)


def may_lead(title: str, position_type: str, cycle: Cycle) -> bool:
    """Whether this is at least a deputy head of the agency: by position type, and by title where
    no type is known."""
    if position_type:
        return position_type in cycle.head.position_types
    return title.startswith(cycle.head.title_starts)


def problems(programme: Programme, year: int, content: Content) -> Iterator[Problem]:
    """All that is wrong with a programme whose working group is as the roster knows it."""
    yield from _head(programme, content.cycle)
    yield from _stages(programme, year, content.cycle)
    yield from _plans(programme, content)
    for at, workshop in enumerate(programme.workshops):
        ways = [way.id for way in content.layout.methods if not way.fact]
        yield from _unknown(("workshop", str(at + 1), "method"), workshop.method, ways)
        yield from _in_year(("workshop", str(at + 1), "held_on"), workshop.held_on, year)
    signs = [sign.id for level in content.cycle.levels for sign in level.signs]
    for sign in programme.maturity:
        yield from _unknown(("maturity", sign), sign, signs)
    yield from _in_year(("policy", "announced_on"), programme.policy.announced_on, year)
    yield from _in_year(("working_group", "order_date"), programme.working_group.order_date, year)


def _head(programme: Programme, cycle: Cycle) -> Iterator[Problem]:
    group, loc = programme.working_group, ("working_group", "head")
    head = group.head
    if not (head.title or head.position_type):
        if any(stage.id == LEADS and stage.state == "done" for stage in programme.stages):
            yield Trouble(loc, "head_missing")
    elif not may_lead(head.title, head.position_type, cycle) and not group.override.strip():
        yield Trouble(loc, "head", {"title": head.title or head.position_type})


def _stages(programme: Programme, year: int, cycle: Cycle) -> Iterator[Problem]:
    known = [stage.id for stage in cycle.stages]
    counts = Counter(stage.id for stage in programme.stages)
    for stage in programme.stages:
        loc = ("stage", stage.id)
        yield from _unknown(loc, stage.id, known)
        yield from _unknown((*loc, "state"), stage.state, STATES)
        if counts[stage.id] > 1:
            yield Trouble(loc, "twice", {"value": stage.id})
        if stage.begins and stage.until and stage.until < stage.begins:
            yield Trouble((*loc, "until"), "ends_first")
        if stage.state == "done" and not any(each.strip() for each in stage.evidence):
            yield Trouble((*loc, "evidence"), "no_evidence")
        yield from _in_year((*loc, "from"), stage.begins, year)
        yield from _in_year((*loc, "until"), stage.until, year)
    begun = [stage for id in known for stage in programme.stages if stage.id == id]
    yield from _order([stage for stage in begun if stage.begins])


def _order(stages: Sequence[StageEntry]) -> Iterator[Problem]:
    for before, after in pairwise(stages):
        if before.begins and after.begins and after.begins < before.begins:
            loc = ("stage", after.id, "from")
            yield Trouble(loc, "out_of_order", {"value": before.id})


def _plans(programme: Programme, content: Content) -> Iterator[Problem]:
    groups = [group.id for group in content.framework.groups]
    counts = Counter(plan.group for plan in programme.plans)
    for plan in programme.plans:
        yield from _unknown(("plan", "group"), plan.group, groups)
    for group, many in counts.items():
        if many > 1:
            yield Trouble(("plan", "group"), "twice", {"value": group})


def _in_year(loc: tuple[str, ...], day: date | None, year: int) -> Iterator[Problem]:
    first, last = fiscal_bounds(year)
    if day is not None and not first - AROUND <= day <= last + AROUND:
        yield Trouble(loc, "far_away", {"year": year})


def _unknown(loc: tuple[str, ...], value: str, known: Sequence[str]) -> Iterator[Problem]:
    if value not in known:
        yield Trouble(loc, "unknown", {"value": value, "known": ", ".join(known)})


def missing(programme: Programme, content: Content) -> Iterator[Gap]:
    """What a programme does not say yet and its report would, in the order of its parts."""
    policy, group, memo = programme.policy, programme.working_group, programme.memo
    yield from _blank("policy", statement=policy.statement, document=policy.document)
    yield from _blank("policy", announced_on=policy.announced_on, goal=policy.goals)
    head = group.head.hr_id or group.head.title or group.head.position_type
    yield from _blank("working_group", head=head, order=group.order, member=group.members)
    planned = {plan.group for plan in programme.plans if plan.approach.strip()}
    yield from _left("plan", {each.id for each in content.framework.groups} - planned)
    over = {stage.id for stage in programme.stages if stage.state in ("done", "put_off")}
    yield from _left("stage", {each.id for each in content.cycle.stages} - over)
    yield from _blank(
        "follow_up", how=programme.follow_up.how, feedback=programme.follow_up.feedback
    )
    kinds = programme.motivation
    said = kinds.role_models.strip() or kinds.certificates.strip() or kinds.other
    yield from _blank("follow_up", motivation=said)
    signs = {sign.id for level in content.cycle.levels for sign in level.signs}
    yield from _left("maturity", signs - programme.maturity.keys())
    yield from _blank("memo", department=memo.department, number=memo.number)
    yield from _blank("memo", signer_name=memo.signer_name, signer_title=memo.signer_title)


def _blank(part: str, **values: object) -> Iterator[Gap]:
    for key, value in values.items():
        if not (value.strip() if isinstance(value, str) else value):
            yield Gap(part, key)


def _left(part: str, ids: set[str]) -> Iterator[Gap]:
    if ids:
        yield Gap(part, part, len(ids))
