"""The shapes of what is asked and answered. Days read 2026-11-28, moments are ISO 8601 in UTC."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Page(Shape):
    """`next` is what to give as `after` for what follows; null at the end."""

    next: int | None


class RoleShape(Shape):
    role: str
    unit: str = Field(description="The path of a unit; empty: the whole agency.")


class Me(Shape):
    hr_id: str
    name: str
    roles: list[RoleShape]


class UnitShape(Shape):
    id: int
    name: str
    path: str


class Units(Page):
    units: list[UnitShape]


class PersonShape(Shape):
    hr_id: str
    name: str
    unit: str
    group: str = Field(description="The personnel group; empty: not placed yet.")
    step: str = Field(description="The step they are at, `done` after the last; empty: none yet.")
    round: int | None
    claimed: bool = Field(description="They have linked a chat to their place on the roster.")
    last_active: date | None


class People(Page):
    people: list[PersonShape]


class StepShape(Shape):
    round: int
    step: str
    at: datetime


class UsesShape(Shape):
    round: int
    uses: int
    confirmed: int


class IssuedShape(Shape):
    code: str
    round: int
    issued_at: datetime


class ProgressShape(PersonShape):
    steps: list[StepShape]
    uses_at_work: list[UsesShape]
    certificates: list[IssuedShape]


class ListedReport(Shape):
    name: str


class ReportList(Shape):
    reports: list[ListedReport]


class ColumnShape(Shape):
    id: str
    kind: str


class ReportShape(Shape):
    name: str
    columns: list[ColumnShape]
    rows: list[list[str | int | float | None]]
    denominator: int
    as_of: datetime
    notes: list[str]
    next: int | None = Field(description="The `offset` of what follows; null at the end.")


class EvidenceShape(Shape):
    """A use at work. What the learner wrote of it stays with the learner."""

    id: int
    hr_id: str
    unit: str
    at: datetime
    round: int
    shared: bool
    confirmed_at: datetime | None
    status: str
    narrative: str


class EvidenceList(Page):
    evidence: list[EvidenceShape]


class CertificateShape(Shape):
    code: str
    name: str
    round: int
    issued_at: datetime
    areas: list[str]
    verify: str
    badge: str


class CodeShape(Shape):
    code: str = Field(description="Give it to this person only. It works once.")
    expires_at: datetime


class NewHook(Shape):
    """`webhook`: signed events, one a request. `xapi`: statements to a learning record store."""

    kind: Literal["webhook", "xapi"]
    url: str = Field(max_length=1000)
    topics: list[str] = Field(default=[], description="Of webhooks; none: all.", max_length=50)
    user: str = Field(default="", max_length=200, pattern="^[^:]*$", description="Of the store.")
    password: str = Field(default="", max_length=200, description="Of the store.")


class MadeHook(Shape):
    id: int
    secret: str | None = Field(description="What webhooks are signed with; shown only now.")


class HookShape(Shape):
    id: int
    kind: str
    url: str
    topics: list[str]
    created_at: datetime
    ended_at: datetime | None
    failures: int
    problem: str
    cursor: int


class HookList(Shape):
    hooks: list[HookShape]


class Statements(Shape):
    statements: list[dict[str, Any]]
    more: str = Field(description="Where to go on; empty: nothing more for now.")
