"""The shape of everything in `content/`: frozen records, checked when the files are loaded."""

import datetime as dt
from collections.abc import Iterable
from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    StringConstraints,
    model_validator,
)

Lang = Literal["th", "en"]
LANGS: tuple[Lang, ...] = ("th", "en")

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)]
Paragraph = Annotated[str, StringConstraints(min_length=1, max_length=1500, strip_whitespace=True)]

Role = Literal["learner", "manager", "hr", "approver", "privacy", "editor", "ocsc", "admin"]
"""Whoever is on the roster is a learner; everything else is granted."""
Dimension = Literal["use", "understand", "create", "access"]
Certainty = Literal["O", "C", "T", "I", "M"]
Activity = Literal[
    "placement", "pretest", "plan", "lesson", "exercise", "quiz", "apply", "review", "finish"
]


class Record(BaseModel):
    """A frozen record that knows no other fields than its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Record):
    """One sentence in both languages."""

    th: Paragraph
    en: Paragraph

    def of(self, lang: Lang) -> str:
        return self.th if lang == "th" else self.en


class Source(Record):
    """Where a claim comes from, and how sure we are (marks as in docs/sources.md)."""

    title: Line
    url: HttpUrl | None = None
    date: dt.date | None = None
    certainty: Certainty


# --- the method ----------------------------------------------------------------------


class Step(Record):
    """One of the steps; `activities` must all be done, in this order, to leave it."""

    id: Id
    name: Text
    task: Text
    exit_rule: Text
    activities: tuple[Activity, ...] = Field(min_length=1)
    source: Source


class Method(Record):
    """The 6 Step method as this agency runs it."""

    status: Literal["default", "official"]
    name: Text
    label: Text
    """Shown wherever the steps are listed, until the official wording is in place."""
    steps: tuple[Step, ...] = Field(min_length=1, alias="step")


# --- frameworks ----------------------------------------------------------------------


class Group(Record):
    """A personnel group of the 2561 framework, with every name it goes by."""

    id: Id
    name: Text
    synonyms: tuple[Line, ...]
    who: Text
    focus_areas: tuple[Id, ...]
    """Areas to suggest first in the plan."""
    source: Source


class Topic(Record):
    """Something that the bank has questions about."""

    id: Id
    name: Text
    short: Text
    """At most 14 letters: a label on a picture and on a button."""
    sub_skills: tuple[Id, ...]
    about: Text
    source: Source


class Area(Topic):
    """An area of digital literacy: the profile, the plan and the six steps are about these."""

    tier: int = Field(ge=1, le=3)
    unit: str


class SkillGroup(Record):
    id: Id
    name: Text
    code: str = ""
    source: Source


class Unit(Record):
    """A competency unit and the groups that need it; `stage` is unknown until a source says."""

    code: str
    name: Line
    page: tuple[int, ...]
    skill_group: Id
    groups: tuple[Id, ...] = ()
    stage: Literal["early", "developing", "mature"] | None = None


class Named(Record):
    id: Id
    name: Text
    source: Source


class Framework(Record):
    """A published skill framework; versions stand side by side and are mapped."""

    id: Id
    name: Text
    issued: Line
    skill_groups: tuple[SkillGroup, ...] = Field(alias="skill_group")
    units: tuple[Unit, ...] = Field(alias="unit", default=())
    groups: tuple[Group, ...] = Field(alias="group", default=())
    areas: tuple[Area, ...] = Field(alias="area", default=())
    dimensions: tuple[Named, ...] = Field(alias="dimension", default=())
    stages: tuple[Named, ...] = Field(alias="stage", default=())
    components: tuple[Named, ...] = Field(alias="component", default=())
    competencies: tuple[Named, ...] = Field(alias="competency", default=())
    roles: tuple[Named, ...] = Field(alias="role", default=())
    source: Source


class Mapped(Record):
    """From something in the one framework to something in the other."""

    kind: Literal["group", "skill_group"]
    old: Id
    new: tuple[Id, ...]
    note: Text
    source: Source


# --- placement -----------------------------------------------------------------------


class RosterRule(Record):
    """Places a person by what HR's roster says of them; the first rule that matches wins."""

    group: Id
    position_types: tuple[str, ...] = ()
    title_starts: tuple[str, ...] = ()
    title_contains: tuple[str, ...] = ()
    because: Text
    source: Source


class PlacementQuestion(Record):
    """A yes/no question on what somebody does; yes places them in `group`."""

    group: Id
    ask: Text
    examples: Text
    because: Text
    source: Source


class Placement(Record):
    roster_rules: tuple[RosterRule, ...] = Field(alias="roster_rule")
    questions: tuple[PlacementQuestion, ...] = Field(alias="question", min_length=1, max_length=5)
    fallback: Id
    fallback_because: Text


# --- what is learned -----------------------------------------------------------------


class OptionText(Record):
    text: Annotated[str, StringConstraints(min_length=1, max_length=220, strip_whitespace=True)]
    feedback: Annotated[str, StringConstraints(min_length=1, max_length=400, strip_whitespace=True)]


class Option(Record):
    """One answer to a question, with what to say to whoever picks it."""

    correct: bool = False
    th: OptionText
    en: OptionText

    def of(self, lang: Lang) -> OptionText:
        return self.th if lang == "th" else self.en


class Item(Record):
    """A question, lesson or exercise. One that is `retired` is never chosen anew; whoever is in the
    middle of it goes on, and figures still know it."""

    id: Id
    retired: bool = False
    replaces: Id | None = None
    """The item that this one stands in for: that one is retired."""


class Question(Item):
    """An item of the bank. `difficulty` is in logits: the author's estimate until calibrated."""

    sub_skill: Id
    dimension: Dimension
    difficulty: float = Field(ge=-4, le=4)
    groups: tuple[Id, ...] = ()
    """Groups it suits; empty: all."""
    stem: Text
    options: tuple[Option, ...] = Field(alias="option", min_length=3, max_length=6)
    source: Source
    review_by: dt.date

    @property
    def right(self) -> int:
        """Which option is right, counted from 0."""
        return next(i for i, option in enumerate(self.options) if option.correct)


class Page(Text):
    """One message of a lesson. `picture` is drawn with it; the words must do without."""

    picture: Id | None = None


class Lesson(Item):
    """A few short messages around one idea."""

    title: Text
    minutes: int = Field(ge=1, le=10)
    messages: tuple[Page, ...] = Field(min_length=2, max_length=6)
    source: Source


class Drawing(Record):
    """A picture of a lesson: its words, for the gaps of `pictures/<id>.svg`."""

    id: Id
    title: Text
    """Stands in the band on top."""
    note: Text | None = None
    """What to take away from it, at the foot."""
    words: dict[str, Text] = {}
    signs: dict[str, Line] = {}
    """What is the same in every language: formulas, addresses, numbers."""
    alt: Text
    """Its complete text twin: whoever does not see the picture knows as much."""
    source: Source

    def said(self, lang: Lang) -> dict[str, str]:
        """What fills each gap."""
        return {**self.signs, **{gap: word.of(lang) for gap, word in self.words.items()}}


class Exercise(Item):
    """Something to do on a real machine, and how to see that it worked."""

    title: Text
    minutes: int = Field(ge=1, le=30)
    task: Text
    steps: tuple[Text, ...] = Field(min_length=2, max_length=6)
    check: Text
    """What is true afterwards if it worked: the learner confirms it."""
    source: Source


class Course(Record):
    """A course on another platform."""

    id: Id
    name: Line
    platform: Line
    url: HttpUrl
    areas: tuple[Id, ...]
    source: Source


# --- how it is written -----------------------------------------------------------------


class Form(Record):
    """How a word or an official name is written, and ways that are not that."""

    right: Line
    wrong: tuple[Line, ...] = Field(min_length=1)


class Citizen(Record):
    """A topic of ONDE's curriculum for citizens, and the tag that would stand for it."""

    name: Line
    tag: Id


class Terms(Record):
    """What the spelling check goes by, beside its dictionary."""

    words: tuple[Line, ...]
    """Words, abbreviations and names that the dictionary does not know."""
    forms: tuple[Form, ...] = Field(alias="form")
    citizens: tuple[Citizen, ...] = Field(alias="citizen")
    """ONDE's nine topics: another list than the nine areas, never to be mixed."""
    banned: dict[Lang, tuple[Line, ...]]
    """Patterns of options that ask nothing: all of the above, none of them."""
    negative: dict[Lang, tuple[Line, ...]]
    """Patterns of stems that ask for what is wrong and do not mark it."""
    marked: dict[Lang, Line]
    """How a negative is marked."""


# --- the whole -----------------------------------------------------------------------


class Notice(Record):
    """The PDPA notice: a short layer that is shown, and the full text on demand."""

    version: Id
    short: Text
    full: tuple[Text, ...] = Field(alias="paragraph")
    consents: tuple["Consent", ...] = Field(alias="consent")
    source: Source


class Consent(Record):
    """An extra that somebody may allow; never a condition for learning."""

    id: Id
    ask: Text
    allowed: Text
    declined: Text


# --- the register of personal data -----------------------------------------------------


class DataPurpose(Record):
    """Why data is processed, and what section of the PDPA allows it."""

    id: Id
    name: Text
    basis: Text


class Rule(Record):
    """How long something is kept: `days` from the row, or `fiscal` whole fiscal years after the
    one that it belongs to, and `days` more. With neither, something else ends it."""

    id: Id
    days: int | None = Field(None, ge=0)
    fiscal: int | None = Field(None, ge=0)
    text: Text
    notice: Text | None = None
    short: Text | None = None
    """What the notice promises, word for word: in its full text, and in its short layer."""

    def says(self, lang: Lang, text: Text | None = None) -> str:
        return (text or self.text).of(lang).format(days=self.days)


class DataCategory(Record):
    """A kind of data, as people are told of it."""

    id: Id
    name: Text
    why: Text
    purpose: Id
    rule: Id
    source: Text = Field(alias="from")
    seen_by: Text


class DataPart(Record):
    """Rows of a table, by their column `kind`, that are of another category than the others."""

    kinds: tuple[str, ...]
    category: Id


class DataTable(Record):
    """A table of the database. `learner`, `person`, `address` and `target` name the column that
    tells whom a row is about; what each column is, is said once in one of the three lists."""

    name: str
    category: Id | None = None
    rule: Id | None = None
    """Where it is another than the category's."""
    learner: str = ""
    person: str = ""
    address: str = ""
    target: str = ""
    personal: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    parts: tuple[DataPart, ...] = Field(alias="part", default=())

    def category_of(self, kind: str) -> str | None:
        """The category of a row whose column `kind` reads so."""
        return next((part.category for part in self.parts if kind in part.kinds), self.category)


class Register(Record):
    """Every column of every table: what it is, why and how long it is kept, who sees it."""

    purposes: tuple[DataPurpose, ...] = Field(alias="purpose")
    rules: tuple[Rule, ...] = Field(alias="rule")
    categories: tuple[DataCategory, ...] = Field(alias="category")
    tables: tuple[DataTable, ...] = Field(alias="table")
    labels: dict[str, Text]
    """Names of columns, of keys inside them, and of tables (`table_…`)."""
    values: dict[str, Text]
    """Words that the system keeps in them."""
    source: Source

    def purpose(self, id: str) -> DataPurpose:
        return _find(id, self.purposes)

    def rule(self, id: str) -> Rule:
        return _find(id, self.rules)

    def category(self, id: str) -> DataCategory:
        return _find(id, self.categories)

    def label(self, name: str, lang: Lang) -> str:
        return self.labels[name].of(lang) if name in self.labels else name


class Words(Record):
    """What people type for the same thing, by language-independent key."""

    reserved: dict[str, tuple[str, ...]]
    particles: tuple[str, ...]
    """Polite endings and fillers that change nothing."""
    yes: tuple[str, ...]
    no: tuple[str, ...]
    yes_means: tuple[str, ...]
    """Buttons that a plain yes stands for, by their ids, beside those that begin with `yes_`."""
    no_means: tuple[str, ...]
    letters: tuple[str, ...]
    """The letters that options are listed by, in their order."""
    prefixes: tuple[str, ...]
    """Words before a number or letter that change nothing."""
    weekdays: tuple[tuple[str, ...], ...]
    until: tuple[str, ...]
    """Between two weekdays: and all days between them."""
    times: "Times"
    answers: dict[str, tuple[str, ...]]
    """What people say instead of the words on a button, by its id."""


class Hearing(Record):
    """How messages are read before their meaning is weighed. See flows/spelling.py."""

    latin: str
    thai: str
    """The same keys of a keyboard, in the same order."""
    like: str = Field(alias="from")
    same: str = Field(alias="to")
    """Letters that are often mistaken, and the ones that stand for them in a skeleton."""
    silent: str
    ends: tuple[str, ...]
    begins: tuple[str, ...]
    ideas: dict[str, tuple[str, ...]]
    areas: dict[str, tuple[str, ...]]
    units: "UnitNames"
    details: "DetailWords"
    careful: dict[str, "Careful"]
    periods: dict[str, tuple[str, ...]]
    """What people call a period, by its ISO 8601 duration."""

    @model_validator(mode="after")
    def _pairs(self) -> "Hearing":
        for one, other in ((self.latin, self.thai), (self.like, self.same)):
            if len(one) != len(other):
                raise ValueError(f"{len(one)} letters beside {len(other)}: they belong in pairs")
        return self

    def __hash__(self) -> int:
        return id(self)  # as of `Content`: there is one in a process


class UnitNames(Record):
    """How the name of a unit is found in a sentence."""

    begins: tuple[str, ...]
    none: tuple[str, ...]
    """What begins like a name and is none."""
    ends: tuple[str, ...]
    english: tuple[str, ...]
    """The last word of an English name."""
    small: tuple[str, ...]
    """Words that are no part of an English name."""


class Careful(Record):
    """What it takes to believe an intent that must not be guessed."""

    needs: tuple[str, ...]
    """Ideas, one of which must be there."""
    sure: float = Field(ge=0, le=1)
    strays: tuple[str, ...]
    """Ideas that it rarely goes with."""
    surely: float = Field(ge=0, le=1)


class DetailWords(Record):
    """Words around numbers and times."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    """What stands before or after a number that counts lessons or questions."""
    moving: tuple[str, ...]
    """With these a weekday is every week's."""
    from_: tuple[str, ...] = Field(alias="from")
    to: tuple[str, ...]
    """Around what is changed into something else."""
    past: tuple[str, ...]
    """After a period that is over."""
    this: tuple[str, ...]
    """After these it is one day."""
    month_ends: tuple[str, ...]
    month_begins: tuple[str, ...]
    year_ends: tuple[str, ...]
    year_begins: tuple[str, ...]
    years: tuple[str, ...]


class Mind(Record):
    """What was learned from labelled messages; made by `python -m tests.understanding train`."""

    intents: tuple[str, ...]
    known: str
    """Triples of letters that people write, one after the other."""
    pieces: str
    """What a message is taken apart into, a line each."""
    weights: str
    """Base64: a byte for each piece and intent, 128 for none."""
    scale: float
    """What a weight of one step is worth, in logits."""
    learned_from: str
    """A fingerprint of the labelled messages and of the words."""

    def __hash__(self) -> int:
        return id(self)  # as of `Content`: there is one in a process


class Times(Record):
    """Words for times, each kind by its name. See flows/clock.py for what they do together."""

    every: tuple[str, ...]
    also: tuple[str, ...]
    until: tuple[str, ...]
    next: tuple[str, ...]
    ahead: tuple[str, ...]
    day: tuple[str, ...]
    week: tuple[str, ...]
    month: tuple[str, ...]
    hour: tuple[str, ...]
    minute: tuple[str, ...]
    sunday_or_week: tuple[str, ...]
    today: tuple[str, ...]
    tomorrow: tuple[str, ...]
    day_after: tuple[str, ...]
    third_day: tuple[str, ...]
    daily: tuple[str, ...]
    workdays: tuple[str, ...]
    weekend: tuple[str, ...]
    date: tuple[str, ...]
    """Before the day of a month."""
    remind: tuple[str, ...]
    stop: tuple[str, ...]
    pause: tuple[str, ...]
    filler: tuple[str, ...]
    at: tuple[str, ...]
    morning: tuple[str, ...]
    afternoon: tuple[str, ...]
    evening: tuple[str, ...]
    am: tuple[str, ...]
    pm: tuple[str, ...]
    mong: tuple[str, ...]
    """Hours of the day in the Thai count."""
    thum: tuple[str, ...]
    """Hours after six in the evening."""
    ti: tuple[str, ...]
    """Hours after midnight."""
    oclock: tuple[str, ...]
    noon: tuple[str, ...]
    midnight: tuple[str, ...]
    half: tuple[str, ...]
    past: tuple[str, ...]
    months: tuple[tuple[str, ...], ...] = Field(min_length=12, max_length=12)
    numbers: dict[int, tuple[str, ...]]
    says: dict[str, Text]


class MenuArea(Record):
    """A field of LINE's rich menu: what it says and the reserved word that it stands for."""

    label: Text
    icon: str
    word: str


class Menu(Record):
    """The rich menu (LINE) and the command list (Telegram)."""

    name: Line
    bar: Text
    areas: tuple[MenuArea, ...] = Field(alias="area", min_length=2, max_length=6)
    commands: tuple["Command", ...] = Field(alias="command", min_length=1, max_length=20)


class Command(Record):
    """A slash command: `word` is the reserved word that it stands for."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")]
    word: str
    about: Text


# --- when the bot may write ------------------------------------------------------------


class Holiday(Record):
    """A day off. Of all government offices, with its source; or, if `kind` is agency, of ours."""

    date: dt.date
    name: Text
    kind: Literal["fixed", "lunar", "substitution", "special", "agency"] = "agency"
    source: Source | None = None


class CalendarYear(Record):
    """The days off of a Buddhist-era year."""

    year: int
    holidays: tuple[Holiday, ...] = Field(alias="holiday", min_length=1)


class Agency(Record):
    """Days off of this agency alone."""

    days: tuple[Holiday, ...] = Field(alias="day", default=())


Span = tuple[dt.time, dt.time]
"""From, up to but without."""


class Hours(Record):
    """When an unasked message may arrive, on the reader's own clock."""

    work: tuple[Span, ...] = Field(min_length=1)
    """On working days."""
    chosen: tuple[Span, ...] = Field(min_length=1)
    """At a time that the learner chose: on any day that is not off."""


class Digest(Record):
    """What managers see of their teams."""

    every: Literal["week", "day"]
    names: bool
    """Whether they see by name who has finished the mandatory steps."""
    since: dt.date | None = None
    """From which day on learners are told so; whoever finished earlier is not named."""
    mandatory: tuple[Id, ...] = ()


class NudgeText(Text):
    """One wording of a nudge. `activities`: only for somebody who is at one of them."""

    id: Id
    activities: tuple[Activity, ...] = ()


class Nudge(Record):
    """A reason to write to somebody unasked. Working days are counted from the last thing that
    the learner did, or from the date in the plan (negative: before it)."""

    kind: Literal["once", "overdue", "due", "recall", "review", "study", "back", "idle"]
    purpose: Literal["word", "due", "review", "encouragement"]
    after_working_days: int = Field(default=0, ge=-30, le=90)
    spacing: int = Field(default=0, ge=0, le=90)
    """Working days until the same reason counts again."""
    texts: tuple[NudgeText, ...] = Field(alias="variant", min_length=2)


class NudgeRules(Record):
    """How nudges fade out, and what keeps them back."""

    weekly_after: int = Field(ge=1)
    """So many without an answer, and they come once a week."""
    pause_after: int = Field(ge=1)
    """So many without an answer, and they end."""
    busy_minutes: int = Field(ge=0)
    """Whoever was here so lately needs none."""
    late_hours: int = Field(ge=1)
    """A time that was missed by more is not made up for."""
    time: dt.time
    """When they come to those who chose no time."""
    holdout: float = Field(ge=0, le=0.5)
    """The share of learners who get no encouragement, to see what it does."""
    verbs: tuple[str, ...] = Field(min_length=1)
    """One of them makes words about times an order even where free text is an answer."""
    streaks: tuple[int, ...]
    """Working days in a row that are celebrated."""


class Zone(Record):
    """A time zone by its IANA name; `also`: other places on the same clock."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_]+)+$")]
    name: Text
    also: tuple[str, ...] = ()
    shown: bool = False
    """Has a button of its own."""


class Nudges(Record):
    """What may be sent unasked."""

    hours: Hours
    rules: NudgeRules
    nudges: tuple[Nudge, ...] = Field(alias="nudge", min_length=1)
    """The most important first."""
    zones: tuple[Zone, ...] = Field(alias="zone", min_length=1)


# --- campaigns -----------------------------------------------------------------------


Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Schedule(Record):
    """Once, `at`; or again and again, `every` so often, at `time`. All on the agency's clock."""

    at: dt.datetime | None = None
    every: Literal["day", "week", "month"] | None = None
    days: tuple[Weekday, ...] = ()
    day_of_month: int | None = Field(default=None, ge=1, le=31)
    time: dt.time | None = None
    first: dt.date | None = None
    until: dt.date | None = None
    on_day_off: Literal["next_working", "skip"] = "next_working"


class Wording(Record):
    """Words that HR writes; what is wrong with them is said by a check, all at once."""

    th: str = ""
    en: str = ""

    def of(self, lang: Lang) -> str:
        return self.th if lang == "th" else self.en


class AreaBand(Record):
    """Those whose newest measure in an area is in a band: strengthen, fair or strong."""

    area: str
    band: str


class Segment(Record):
    """Whom to send to. Each filter that is set must hold; within one filter any value will do."""

    groups: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    """Ids of the method's steps, `done` or `unfinished`."""
    bands: tuple[AreaBand, ...] = ()
    active_within: int | None = Field(default=None, ge=1, le=3650)
    """Days: they have done something since."""
    inactive_for: int | None = Field(default=None, ge=1, le=3650)
    """Days: they have done nothing since."""
    units: tuple[str, ...] = ()
    """Paths of units; those below belong to them."""
    channels: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


class CampaignMessage(Record):
    """What is sent: one message with one button. `{name}`, `{unit}` and `{step}` are filled in."""

    title: Wording | None = None
    text: Wording
    label: Wording
    action: str
    """What the button does: go, lesson.<area>, apply, progress, plan or review."""


class Wave(Record):
    """A share of the recipients that goes first and is watched before anybody else follows."""

    share: float = Field(gt=0, le=1)
    minutes: int = Field(ge=1, le=10_080)


class Campaign(Record):
    """Something that HR sends to many people."""

    id: Id
    name: Text
    topic: str = ""
    purpose: Literal["mandatory", "due", "review", "encouragement"]
    message: CampaignMessage
    segment: Segment = Segment()
    schedule: Schedule | None = None
    """A ready-made campaign may leave it open."""
    deadline_hours: int | None = Field(default=None, ge=1, le=24 * 90)
    deadline_days: int | None = Field(default=None, ge=1, le=90)
    """Working days: until the end of that day."""
    waves: tuple[Wave, ...] = Field(alias="wave", default=())
    holdout: float = Field(default=0, ge=0, le=0.5)
    """The share that is not sent to, so that the effect can be seen."""
    sources: tuple[Source, ...] = Field(alias="source", default=())


# --- the agency's programme and its report --------------------------------------------


class HeadRule(Record):
    """Who may lead the working group: by position type, else by how the title begins."""

    position_types: tuple[str, ...]
    title_starts: tuple[str, ...]
    source: Source


class Stage(Record):
    """A stage of the agency's own cycle, and what shows that it was gone through."""

    id: Id
    name: Text
    about: Text
    evidence: Text
    source: Source


class Sign(Record):
    """Something that is so, or not, at an agency of some maturity."""

    id: Id
    text: Text


class Level(Record):
    """How mature an agency is; `stage` is what the 2561 framework calls it."""

    id: Id
    name: Text
    about: Text
    stage: str = ""
    signs: tuple[Sign, ...] = Field(alias="sign", default=())
    source: Source


class Cycle(Record):
    """What every programme is made of."""

    source: Source
    head: HeadRule
    stages: tuple[Stage, ...] = Field(alias="stage", min_length=1)
    levels: tuple[Level, ...] = Field(alias="level", min_length=2)
    """The lowest first; it has no signs, all others have."""


class Goal(Record):
    text: str
    target: str = ""


class Policy(Record):
    statement: str = ""
    document: str = ""
    announced_on: dt.date | None = None
    goals: tuple[Goal, ...] = Field(alias="goal", default=())


class Member(Record):
    """Somebody of the working group: of the roster by `hr_id`, else by title and type."""

    hr_id: str = ""
    title: str = ""
    position_type: str = ""
    duty: str = ""


class WorkingGroup(Record):
    """`override` names the written order by which somebody below a deputy head leads it."""

    order: str = ""
    order_date: dt.date | None = None
    override: str = ""
    head: Member = Member()
    members: tuple[Member, ...] = Field(alias="member", default=())


class GroupPlan(Record):
    """What a personnel group can do and wants, and how it is developed."""

    group: str
    ability: str = ""
    interest: str = ""
    approach: str = ""


class FollowUp(Record):
    how: str = ""
    feedback: str = ""


class Motivation(Record):
    role_models: str = ""
    certificates: str = ""
    other: str = ""


class Workshop(Record):
    """Something held outside the system, so that it counts among the methods."""

    name: str
    method: str
    hours: float = Field(gt=0, le=1000)
    people: int = Field(ge=0, le=1_000_000)
    held_on: dt.date | None = None
    evidence: str = ""


class StageEntry(Record):
    """How a stage stands: planned, under_way, done or put_off; done wants evidence."""

    id: str
    state: str = "planned"
    begins: dt.date | None = Field(alias="from", default=None)
    until: dt.date | None = None
    evidence: tuple[str, ...] = ()
    note: str = ""


class Memo(Record):
    """What the covering memo says of the agency."""

    department: str = ""
    number: str = ""
    addressee: str = ""
    signer_name: str = ""
    signer_title: str = ""


class Programme(Record):
    """An agency's programme of one fiscal year, as HR writes it. What is wrong with it is said by
    a check, all at once. `version` is the one that it was read as."""

    version: int = 0
    policy: Policy = Policy()
    working_group: WorkingGroup = WorkingGroup()
    plans: tuple[GroupPlan, ...] = Field(alias="plan", default=())
    follow_up: FollowUp = FollowUp()
    motivation: Motivation = Motivation()
    workshops: tuple[Workshop, ...] = Field(alias="workshop", default=())
    stages: tuple[StageEntry, ...] = Field(alias="stage", default=())
    maturity: dict[str, bool] = {}
    memo: Memo = Memo()


class PlannedMethod(Record):
    """A way of developing people, and what it counts as. `minutes` is the planned length of one
    fact of the kind `fact`; without a fact it is a way for workshops."""

    id: Id
    name: Line
    kind: Literal["lecture", "other"]
    fact: str = ""
    minutes: int = Field(default=0, ge=0)


class ReportSection(Record):
    """A part of the report: its words, and which computed blocks stand in it."""

    id: Id
    heading: Line
    sheet: Annotated[str, StringConstraints(min_length=1, max_length=31)]
    lead: tuple[Paragraph, ...] = ()
    blocks: tuple[str, ...] = ()
    notes: tuple[Paragraph, ...] = ()


class Layout(Record):
    """How the report for OCSC is laid out; its own form is not public. Only in Thai."""

    source: Source
    least: int = Field(ge=2)
    """The smallest group that OCSC is shown."""
    narratives: int = Field(ge=0)
    lecture_most: float = Field(gt=0, le=1)
    methods: tuple[PlannedMethod, ...] = Field(alias="method", min_length=1)
    memo: tuple[Paragraph, ...]
    """The paragraphs of the covering memo."""
    titles: tuple[str, ...]
    """What stands before a name."""
    sure_titles: tuple[str, ...]
    """Those that hardly stand before anything else, but for the words in `no_titles`."""
    no_titles: tuple[str, ...]
    unnamed: dict[Literal["name", "number", "email"], Line]
    """What a suggested text has in the place of a name, a number, an address."""
    words: dict[str, str]
    sections: tuple[ReportSection, ...] = Field(alias="section", min_length=1)


# --- reports ---------------------------------------------------------------------------


class ItemRules(Record):
    """When a question is marked; all but the first two are shares, or a correlation."""

    fewest: int = Field(ge=1)
    leeches: int = Field(ge=1)
    hard: float = Field(ge=0, le=1)
    easy: float = Field(ge=0, le=1)
    discrimination: float = Field(ge=-1, le=1)
    distractor: float = Field(ge=0, le=1)


class Reports(Record):
    """Where reports draw their lines."""

    behind_days: int = Field(ge=1, le=250)
    fewest_pairs: int = Field(ge=2)
    items: ItemRules


# --- the roster ----------------------------------------------------------------------


class RosterColumn(Record):
    """One column of a roster file and the headers it goes by; the first is the template's."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,30}$")]
    headers: tuple[Line, ...] = Field(min_length=1)
    explain: Text
    example: str = ""
    needed: bool = False
    template: bool = True
    """Whether it is in the template that HR starts from."""


class PersonnelKind(Record):
    """A kind of personnel. `civil`: the position types of the Civil Service Act hold for it."""

    id: Id
    name: Text
    names: tuple[Line, ...] = ()
    civil: bool = False
    source: Source


class PositionType(Record):
    """A position type of the Civil Service Act with its levels, from the lowest."""

    name: Line
    levels: tuple[Line, ...] = Field(min_length=1)
    source: Source


class RosterTemplate(Record):
    """What the template calls its sheets and headings."""

    sheet: Line
    help: Line
    column: Line
    meaning: Line
    needed: Line
    kinds: Line
    types: Line


class RosterRules(Record):
    """How a roster file is read: `refusals` are of a whole file, `reasons` of a row."""

    yes: tuple[Line, ...]
    no: tuple[Line, ...]
    blanks: tuple[Line, ...]
    """What people write into a cell that has nothing to say."""
    eras: tuple[Line, ...]
    """How a year says of which era it is; its number tells, too."""
    type_prefix: Line
    level_prefix: Line
    reason_header: Line
    hidden: Line
    citizen_headers: tuple[Line, ...]
    months: dict[Annotated[int, Field(ge=1, le=12)], tuple[Line, ...]] = Field(min_length=12)
    columns: tuple[RosterColumn, ...] = Field(alias="column")
    kinds: tuple[PersonnelKind, ...] = Field(alias="kind")
    position_types: tuple[PositionType, ...] = Field(alias="position_type")
    refusals: dict[str, Text]
    reasons: dict[str, Text]
    template: RosterTemplate

    def __hash__(self) -> int:
        return id(self)  # as of `Content`: there is one in a process


# --- the made-up agency ---------------------------------------------------------------


class DemoUnit(Record):
    id: Id
    parent: str
    name: Line


class DemoPerson(Record):
    """`reach` counts the activities of their made-up history, `skill` is how often they are
    right."""

    hr_id: Line
    name: Line
    unit: Id
    title: str
    position_type: str
    supervisor: str
    role: Role
    reach: int
    skill: float
    english: bool


class DemoUse(Record):
    where: Line
    whom: Line
    changed: Line


class Demo(Record):
    units: tuple[DemoUnit, ...] = Field(alias="unit")
    people: tuple[DemoPerson, ...] = Field(alias="person")
    uses: tuple[DemoUse, ...] = Field(alias="use")


class Gone(LookupError):
    """Somebody stands on content that is no longer there."""


class Content(Record):
    """Everything there is to teach and to say."""

    method: Method
    framework: Framework
    newer: Framework
    mapping: tuple[Mapped, ...]
    placement: Placement
    topics: tuple[Topic, ...]
    """What can be practised beside the areas: other skills of the framework, AI, the changes."""
    questions: dict[str, tuple[Question, ...]]
    lessons: dict[str, tuple[Lesson, ...]]
    exercises: dict[str, tuple[Exercise, ...]]
    pictures: tuple[Drawing, ...] = ()
    """Of lessons."""
    courses: tuple[Course, ...]
    notice: Notice
    register_: Register
    words: Words
    hearing: Hearing
    mind: Mind
    menu: Menu
    calendar: tuple[CalendarYear, ...]
    agency: Agency
    nudges: Nudges
    digest: Digest
    campaigns: tuple[Campaign, ...] = ()
    """Ready-made ones, to start from."""
    cycle: Cycle
    layout: Layout
    reports: Reports
    roster: RosterRules
    copy_: dict[Lang, dict[str, str]]
    dpo: str = ""
    """How to reach the agency's data protection officer; comes from the settings."""
    public_url: str = ""
    """Where the service can be reached, for links; comes from the settings, or is empty."""

    def __hash__(self) -> int:
        return id(self)  # there is one content in a process; indexes are kept by it

    def area(self, area_id: str) -> Area:
        return _find(area_id, self.framework.areas)

    def topic(self, topic_id: str) -> Topic:
        """An area, or what can be practised beside them."""
        return _find(topic_id, self.subjects)

    @property
    def subjects(self) -> tuple[Topic, ...]:
        """Everything that the bank has questions about: the areas, then the other topics."""
        return (*self.framework.areas, *self.topics)

    def group(self, group_id: str) -> Group:
        return _find(group_id, self.framework.groups)

    def question(self, question_id: str) -> Question:
        return _find(question_id, self.questions.get(area_of(question_id), ()))

    def lesson(self, lesson_id: str) -> Lesson:
        return _find(lesson_id, self.lessons.get(area_of(lesson_id), ()))

    def exercise(self, exercise_id: str) -> Exercise:
        return _find(exercise_id, self.exercises.get(area_of(exercise_id), ()))

    def picture(self, picture_id: str) -> Drawing:
        return _find(picture_id, self.pictures)

    def course(self, course_id: str) -> Course:
        return _find(course_id, self.courses)


_Kept = TypeVar("_Kept", bound=Item)


def alive(items: Iterable[_Kept]) -> list[_Kept]:
    """Those that may still be chosen."""
    return [item for item in items if not item.retired]


def area_of(item_id: str) -> str:
    """The area (or topic) that a question, lesson or exercise belongs to: its id starts with it."""
    return item_id.rsplit("-", 1)[0]


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


_Item = TypeVar("_Item", bound=_HasId)


def _find(wanted: str, among: Iterable[_Item]) -> _Item:
    for item in among:
        if item.id == wanted:
            return item
    raise Gone(wanted)
