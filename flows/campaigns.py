"""A campaign's message, what its button does, and what may be said of its effect."""

import re
from datetime import datetime, time, timedelta
from math import sqrt

from msgspec import Struct

from content.lint import ACTIONS
from content.schema import Campaign, Content, Lang
from flows import steps
from flows.calendar import add_working_days, local
from flows.types import Choice, Record, Reply, State, Turn

DAYS = 3
"""Working days that a campaign may take to arrive if it says nothing else."""
_BUTTON = re.compile(r"c([0-9]{1,18})\.([a-z0-9.-]{1,40})")

# --- the message ---------------------------------------------------------------------


def message(campaign: Campaign, occurrence: int, lang: Lang) -> Reply:
    """What one sending of a campaign says. Its placeholders are still in it."""
    words = campaign.message
    button = Choice(f"c{occurrence}.{words.action}", words.label.of(lang).strip())
    return Reply(
        words.text.of(lang).strip(),
        (button,),
        stamp="*",
        title=words.title.of(lang).strip() if words.title else "",
        notify=True,
        purpose=campaign.purpose,
    )


def deadline(campaign: Campaign, due: datetime, content: Content) -> datetime:
    """When it is too late for a sending that was due: after so many hours, or at the end of
    office hours so many working days later."""
    if campaign.deadline_hours is not None:
        return due + timedelta(hours=campaign.deadline_hours)
    here = local(due)
    last = add_working_days(here.date(), campaign.deadline_days or DAYS, content)
    closes: time = content.nudges.hours.work[-1][1]
    return datetime.combine(last, closes, here.tzinfo).astimezone(due.tzinfo)


# --- the button ----------------------------------------------------------------------


class Press(Struct, frozen=True):
    """A press on a campaign's button."""

    occurrence: int
    action: str

    @property
    def fact(self) -> Record:
        data = {"occurrence": self.occurrence, "action": self.action}
        return Record("campaign_answered", data)


def press(choice: str, content: Content) -> Press | None:
    """The press that a button's id stands for; None when it is no campaign's."""
    found = _BUTTON.fullmatch(choice)
    if found is None:
        return None
    action, _, area = found[2].partition(".")
    known = {each.id for each in content.framework.areas}
    if (area in known) if action == "lesson" else (action in ACTIONS and not area):
        return Press(int(found[1]), found[2])
    return None


def answered(state: State, pressed: Press, content: Content) -> Turn | str:
    """What a press begins: a turn, or the reserved word that it stands for. What has the floor
    is paused as when the menu is opened; what is not open yet is left to the path."""
    action, _, area = pressed.action.partition(".")
    if state.stopped:
        return "resume"
    if action == "progress":
        return "progress"
    if action == "lesson":
        return Turn(state.aside("menu").at("lesson", area=area))
    here = steps.current(state, content)
    if action in ("plan", "apply") and state.journey.plan:
        return Turn(state.aside("menu").at(action))
    if here is not None and here[1] == action:
        return Turn(state.aside("menu").at(action))
    return "go"


# --- the effect ----------------------------------------------------------------------

Z = 1.959963984540054
"""Of 95 %."""


class Difference(Struct, frozen=True):
    """Of two shares, with its 95 % interval; all from -1 to 1."""

    value: float
    low: float
    high: float

    @property
    def is_chance(self) -> bool:
        """Chance alone would often make it."""
        return self.low <= 0 <= self.high


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); nothing is known of nobody."""
    if of == 0:
        return 0.0, 1.0
    share = hits / of
    middle = share + Z * Z / (2 * of)
    spread = Z * sqrt(share * (1 - share) / of + Z * Z / (4 * of * of))
    scale = 1 + Z * Z / of
    return max((middle - spread) / scale, 0.0), min((middle + spread) / scale, 1.0)


def difference(hits: int, of: int, other_hits: int, other_of: int) -> Difference | None:
    """The first share less the second (Newcombe 1998, method 10); None without two groups."""
    if not of or not other_of:
        return None
    first, second = hits / of, other_hits / other_of
    low, high = wilson(hits, of)
    other_low, other_high = wilson(other_hits, other_of)
    value = first - second
    below = sqrt((first - low) ** 2 + (other_high - second) ** 2)
    above = sqrt((high - first) ** 2 + (second - other_low) ** 2)
    return Difference(value, value - below, value + above)
