"""The first hour: what is set up, what comes next, and how to mend what is not."""

import io
from typing import Any

from msgspec import Struct
from rich.console import Console as Plain
from sqlalchemy import Connection
from starlette.responses import Response

from bot import probes
from bot import setup as platforms
from bot.config import Settings
from bot.console import settings as room
from bot.console.pages import Page, Visit
from bot.errors import BadRequest, SendError
from bot.probes import PROBES, Probed
from storage import audit, beginnings
from storage.beginnings import Begun
from storage.database import ConfigError
from storage.scope import Power

MANY = 32
"""Letters of a secret key, at least."""
CHANNELS = ("line", "telegram")


class Step(Struct, frozen=True):
    """One thing to set up. `done`: None is not known yet, or not needed; `path` leads to where it
    is done in the console."""

    id: str
    done: bool | None
    path: str = ""
    needed: bool = True

    @property
    def missing(self) -> bool:
        return self.needed and self.done is False


def steps(settings: Settings, probed: dict[str, Probed], begun: Begun) -> list[Step]:
    """Everything in its order. Of two channels one is enough; what a platform knows is known
    once it was asked."""
    line, telegram = bool(settings.line_token), bool(settings.telegram_token)
    none = not (line or telegram)

    def asked(channel: str, *ids: str) -> bool | None:
        found = probed.get(channel)
        return found.is_good(*ids) if found else None

    webhook = ("line_webhook", "line_webhook_none", "line_webhook_other", "line_webhook_off",
               "line_test", "line_test_failed", "line_no_url")  # fmt: skip
    reached = tuple("telegram_" + each for each in (
        "webhook", "webhook_none", "webhook_other", "webhook_failing", "polling",
        "polling_blocked"))  # fmt: skip
    return [
        Step("secret_key", len(settings.secret_key) >= MANY),
        Step("public_url", settings.public_url.startswith("https://")),
        Step("dpo", bool(settings.dpo_contact)),
        Step("line", line, needed=none),
        Step("line_webhook", asked("line", *webhook), needed=line),
        Step("line_chat", asked("line", "line_chat_off", "line_chat_on"), needed=line),
        Step("line_menu", asked("line", "line_menu", "line_menu_none"), needed=line),
        Step("telegram", telegram, needed=none),
        Step("telegram_reached", asked("telegram", *reached), needed=telegram),
        Step(
            "telegram_commands",
            asked("telegram", "telegram_commands", "telegram_commands_none"),
            needed=telegram,
        ),
        Step("roster", begun.people),
        Step("hr", begun.hr, "roles/give?role=hr"),
        Step("approver", begun.approver, "roles/give?role=approver"),
        Step("privacy", begun.privacy, "roles/give?role=privacy"),
        Step("second_admin", begun.admins > 1, "roles/give?role=admin"),
        Step("campaign", begun.campaign),
    ]


def missing(settings: Settings, probed: dict[str, Probed], begun: Begun) -> int:
    return sum(each.missing for each in steps(settings, probed, begun))


async def index(visit: Visit) -> Response:
    found = await _steps(visit)
    shown = [each for each in found if each.needed or each.done]
    first = next((each.id for each in shown if each.done is not True and each.needed), "")
    return visit.show(
        "setup",
        steps=[_shown(each, visit, first) for each in shown],
        done=sum(each.done is True for each in shown),
        many=len(shown),
        channels=[room.channel(visit, name) for name in CHANNELS],
    )


async def _steps(visit: Visit) -> list[Step]:
    now, app = visit.app.clock(), visit.app
    begun = await visit.read(lambda conn: beginnings.read(conn, now))
    return steps(app.settings, app.probed, begun)


def _shown(step: Step, visit: Visit, first: str) -> dict[str, Any]:
    state = "done" if step.done else "todo" if step.done is False else "unknown"
    return {
        "id": step.id,
        "title": visit.words["step_" + step.id],
        "state": state,
        "said": visit.words["step_is_" + state],
        "mend": "" if step.done else visit.words["step_mend_" + step.id],
        "path": "" if step.done else step.path,
        "next": step.id == first,
    }


async def mend(visit: Visit) -> Response:
    """Have a platform set up as it should be, as `kaona setup` does, and look again."""
    name, app = visit.said("channel"), visit.app
    if name not in PROBES or not room.channel(visit, name)["on"]:
        raise BadRequest(404, "not_found")
    by = visit.session.person_id

    def note(conn: Connection, now: Any) -> None:
        audit.note(conn, by, "channel_set", name, now)

    await visit.write(note)
    try:
        good = await _mend(app.settings, app.content, name)
    except (SendError, ConfigError):
        good = False
    await room.probe(visit, name)
    key = "setup_mended" if good else "setup_not_mended"
    return visit.go("setup", visit.words[key].format(channel=visit.words["channel_" + name]))


async def _mend(settings: Settings, content: Any, name: str) -> bool:
    nowhere = Plain(file=io.StringIO())
    if name == "telegram":
        await platforms.set_telegram(settings, content, nowhere)
        return True
    has_url = settings.public_url.startswith("https://")
    good = has_url and await probes.set_line_webhook(settings)
    await platforms.set_line(settings, content, nowhere)
    return good


NEEDS: tuple[Power, ...] = ("system",)
PAGES = (
    Page("/setup", index, NEEDS, place="setup"),
    Page("/setup/mend", mend, NEEDS, "POST", proof=True, place="setup"),
)
