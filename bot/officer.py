"""What a privacy officer asks for, carried out by whoever holds the database; plain answers."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from bot.copies import as_zip
from content.schema import Lang
from storage import audit, ledger, subject, wishes
from storage.campaigns import Refused
from storage.models import learners
from storage.programmes import someone
from storage.scope import OPERATOR, Denied, Scope

if TYPE_CHECKING:
    from bot.app import App


class Officer:
    """One command by name. What cannot be done is an answer, too: `{"refused": [sentences]}`, in
    the language of whoever asked."""

    def __init__(self, app: "App", lang: Lang = "en") -> None:
        self._app = app
        self._lang = lang

    async def ask(self, do: str, args: dict[str, Any]) -> Any:
        try:
            return await _COMMANDS[do](self._app, **args)
        except Refused as error:
            content, lang = self._app.content, self._lang
            return {"refused": [problem.say(lang, content) for problem in error.problems]}
        except Denied:
            return self._refuse("officer_denied")
        except subject.NoSuchPerson as error:
            return self._refuse("officer_no_person", who=error)
        except wishes.NoSuchWish as error:
            return self._refuse("officer_no_wish", id=error)
        except wishes.NoAnswer as error:
            return self._refuse(_NO_ANSWER[error.key], most=wishes.LONGEST)
        except FileExistsError as error:
            return self._refuse("officer_exists", path=error.filename)
        except OSError as error:
            return self._refuse("officer_no_file", path=error.filename, why=error.strerror)

    def _refuse(self, key: str, **slots: Any) -> dict[str, list[str]]:
        return {"refused": [self._app.content.copy_[self._lang][key].format_map(slots)]}


_NO_ANSWER = {
    "how": "officer_no_answer",
    "missing": "officer_no_reason",
    "long": "officer_long_reason",
}


def _scope(conn: Connection, by: str, now: datetime) -> Scope:
    """Whoever asks: a privacy officer by the id at HR, or the operator."""
    return someone(conn, by, "privacy", now) if by else OPERATOR


async def archive(app: "App", person: str, by: str = "") -> tuple[dict[str, Any], bytes]:
    """Everything that is held about a person: its rows by table, and the archive of it."""
    register = app.content.register_
    made = await app.dispatcher.run(
        lambda conn, now: subject.export(conn, _scope(conn, by, now), person, register, now)
    )
    return made["tables"], await asyncio.to_thread(as_zip, made, app.content, app.clock())


async def _export(app: "App", person: str, out: str, by: str = "") -> dict[str, Any]:
    """Write the archive where the officer wants it, for this user only."""
    await asyncio.to_thread(_may_write, Path(out))
    tables, data = await archive(app, person, by)
    await asyncio.to_thread(_write, Path(out), data)
    rows = {name: len(found) for name, found in tables.items()}
    return {"tables": rows, "bytes": len(data)}


def _may_write(path: Path) -> None:
    _write(path, b"")
    path.unlink()


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


async def _wishes(app: "App", ended: bool = False, by: str = "") -> list[dict[str, Any]]:
    rows = await app.dispatcher.run(
        lambda conn, now: wishes.listing(conn, _scope(conn, by, now), now, ended=ended)
    )
    now = app.clock()
    return [
        {
            "id": row.id,
            "kind": row.kind,
            "who": row.hr_id or (f"learner {row.learner_id}" if row.learner_id else ""),
            "unit": row.path or "",
            "at": row.at.isoformat(),
            "due": row.due.isoformat(),
            "days": (row.due - now).days,
            "ended": row.ended_as,
            "words": wishes.words(row),
        }
        for row in rows
    ]


async def _end(app: "App", id: int, how: str, reason: str, by: str = "") -> dict[str, Any]:
    def work(conn: Connection, now: datetime) -> None:
        wishes.end(conn, _scope(conn, by, now), id, how, reason, now)

    await app.dispatcher.run(work)
    return {"id": id}


async def _who_looked(app: "App", person: str, by: str = "") -> list[dict[str, Any]]:
    return await app.dispatcher.run(
        lambda conn, now: subject.who_looked(conn, _scope(conn, by, now), person, now)
    )


async def _erase(app: "App", person: str, by: str = "") -> dict[str, Any]:
    def work(conn: Connection, now: Any) -> tuple[list[str], list[str]]:
        scope = _scope(conn, by, now)
        whom = subject.of_person(conn, scope, person)
        assert whom.person is not None
        locked = select(learners.c.id).where(learners.c.person_id == whom.person)
        conn.execute(locked.with_for_update())
        files = ledger.erase_person(conn, whom.person, now)
        audit.note(conn, scope.viewer, "erase_person", f"person:{whom.person}", now)
        return files, list(whom.addresses)

    files, names = await app.dispatcher.run(work)
    await app.keeper.gone(files, names)
    return {"erased": True}


async def _due(app: "App") -> list[dict[str, Any]]:
    return [
        {"step": step, "rule": rule, "rows": rows} for step, rule, rows in await app.keeper.due()
    ]


async def _purge(app: "App") -> dict[str, int]:
    return await app.keeper.purge()


async def _reapply(app: "App") -> dict[str, int]:
    return {"people": await app.keeper.sync()}


async def _verify(app: "App") -> dict[str, Any]:
    broken = await app.keeper.verify()
    return {} if broken is None else {"id": broken.id, "why": broken.why}


async def _list(app: "App", target: str = "", limit: int = 100) -> list[dict[str, Any]]:
    rows = await app.dispatcher.run(
        lambda conn, now: audit.listing(conn, OPERATOR, now, target, limit)
    )
    return [
        {
            "id": row.id,
            "at": row.at.isoformat(),
            "by": row.hr_id or "",
            "action": row.action,
            "target": row.target,
            "result": row.result,
            "data": row.data,
        }
        for row in rows
    ]


_COMMANDS: dict[str, Callable[..., Awaitable[Any]]] = {
    "export": _export,
    "wishes": _wishes,
    "end": _end,
    "who_looked": _who_looked,
    "erase": _erase,
    "due": _due,
    "purge": _purge,
    "reapply": _reapply,
    "verify": _verify,
    "list": _list,
}
