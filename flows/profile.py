"""What segments may ask of a learner, read off the state: never stored by hand."""

from datetime import datetime

from msgspec import Struct

from content.schema import Content
from flows import ability, steps
from flows.calendar import local
from flows.types import State


class Profile(Struct, frozen=True):
    """A learner in one narrow row. `bands` reads `|security=fair|word=strong|`; `active_on` is
    the ordinal of the day, in the learner's zone, of the last thing they did."""

    lang: str
    zone: str
    person_id: int | None
    personnel_group: str
    step: str
    bands: str
    welcomed: bool
    stopped: bool
    nudges: bool
    rests_until: datetime | None
    active_on: int
    round: int
    restricted: bool


FINISHED = "done"
"""The `step` of those who have finished all of them."""


def profile(state: State, content: Content) -> Profile:
    here = steps.current(state, content)
    return Profile(
        state.lang,
        state.zone,
        state.person.id if state.person else None,
        state.placed.group if state.placed else "",
        here[0].id if here else FINISHED,
        _bands(state),
        state.welcomed,
        state.stopped,
        state.consents.get("nudges", False),
        state.rests_until,
        _day(state),
        state.journey.number,
        state.restricted or state.leaving is not None,
    )


def changed(before: State, after: State) -> bool:
    """Whether the profile may have changed: most turns leave all of this alone."""
    return (
        before.journey is not after.journey
        or before.placed is not after.placed
        or before.person is not after.person
        or before.consents is not after.consents
        or _plain(before) != _plain(after)
    )


def _plain(state: State) -> tuple[object, ...]:
    return (
        state.lang,
        state.zone,
        state.welcomed,
        state.stopped,
        state.rests_until,
        state.restricted,
        state.leaving,
        _day(state),
    )


def _day(state: State) -> int:
    return local(state.heard_at, state.zone).toordinal() if state.heard_at else 0


def _bands(state: State) -> str:
    """The newest measure of each area, as a band."""
    measured = {**state.journey.baseline, **state.journey.retest}
    found = [f"{area}={ability.band(measure)}" for area, measure in sorted(measured.items())]
    return f"|{'|'.join(found)}|" if found else ""
