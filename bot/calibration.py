"""`kaona content calibrate`: how hard questions are by the answers to them, and, if somebody wants
it, these difficulties published."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from sqlalchemy import Connection

from bot import report
from bot.config import load_settings
from bot.exports import Mark
from bot.report import Wanted
from content.load import load
from content.overlay import overlay
from content.schema import LANGS, Content, Lang, alive
from flows.ability import CLEAR
from flows.calendar import keep_time_of, midnight
from flows.calibration import Calibrated, calibrate
from flows.reports import Ask, Column, Report
from storage import calibration, revisions
from storage.calibration import Change, Unfit
from storage.database import ConfigError
from storage.scope import OPERATOR, Denied, Scope, scope_of

if TYPE_CHECKING:
    from bot.app import App

app = typer.Typer(no_args_is_help=True, help="What is taught, held against what came of it.")
out = Console(highlight=False, soft_wrap=True)
COLUMNS = (
    Column("area", "word", "area"),
    Column("question"),
    Column("answers", "count", sums=True),
    Column("facility", "share"),
    Column("difficulty", "number"),
    Column("estimate", "number"),
    Column("error", "number"),
    Column("infit", "number"),
    Column("outfit", "number"),
    Column("correlation", "number"),
    Column("expected", "number"),
    Column("flags", "word", "words"),
)
LEAST, FEWEST = 200, 50
"""Answers without which nothing is said of a question: usually, and whatever is asked for."""
WIDEST = 4.0
"""Logits: what is estimated to be further out is not published."""


@app.command("calibrate")
def calibrate_(
    since: Annotated[str, typer.Option(help="Answers from this day on: 2569-10-01.")] = "",
    least: Annotated[int, typer.Option(help="Answers a question must have.")] = LEAST,
    apply: Annotated[bool, typer.Option("--apply", help="Publish what clearly differs.")] = False,
    format: Annotated[str, typer.Option(help="table, csv, xlsx or json.")] = "",
    out: Annotated[Path | None, typer.Option(help="The file to write.")] = None,
    by: Annotated[str, typer.Option(help="Your id at HR; else the operator asks.")] = "",
    lang: Annotated[str, typer.Option(help="th or en.")] = "th",
) -> None:
    """Estimate how hard questions are from logged answers; changes nothing without --apply."""
    if least < FEWEST:
        raise ConfigError(f"--least: {least} answers tell too little: {FEWEST} or more")
    speech = next((each for each in LANGS if each == lang), None)
    if speech is None:
        raise ConfigError(f"--lang: {lang!r} is none of {', '.join(LANGS)}")
    day = report.day("--since", since)
    keep_time_of(ZoneInfo(load_settings().timezone))
    ask = Ask(from_on=day)
    wanted = Wanted("calibration", ask, 0, report.chosen_format(format, out), out, by, speech)
    _run(wanted, least, apply=apply)


def _run(wanted: Wanted, least: int, *, apply: bool) -> None:
    settings, files, now = load_settings(), load(), datetime.now(UTC)
    with report.reading(settings) as conn:
        scope, who = report.viewer(conn, wanted, now, files)
        _require(scope, apply)
        content = overlay(files, revisions.standing(conn)).content
        since = midnight(wanted.ask.from_on) if wanted.ask.from_on else None
        sittings = calibration.sittings(conn, since)
    found = calibrate(sittings, difficulties(content), least)
    changes = differing(found, content, wanted.lang) if apply else []
    became = asyncio.run(_tell(scope, found, changes))
    made = as_report(found, wanted, now)
    if wanted.format == "table":
        report.show(made, Mark(who, now), wanted.lang, content)
    else:
        path = wanted.out or Path(f"kaona-calibration-{now:%Y-%m-%d}.{wanted.format}")
        report.write(made, path, Mark(who, now), wanted, content)
        out.print(str(path), markup=False)
    for key, old, new, _ in changes:
        said = {"done": "published", "moved": "changed meanwhile", "drafted": "has an open draft"}
        out.print(f"{key}: {old:+.2f} → {new:+.2f}: {said[became[key]]}", markup=False)
    if apply and not changes:
        out.print("nothing to publish: no estimate without a flag differs beyond chance")


def _require(scope: Scope, apply: bool) -> None:
    try:
        scope.require("figures", "")
        if apply:
            revisions.require(scope, "question", "")
    except Denied as denied:
        raise ConfigError(
            f"--by: you have no right to this: it takes the power {str(denied)!r}"
            " over the whole agency"
        ) from denied


def difficulties(content: Content) -> dict[str, float]:
    """What is laid down of every question that may still be asked, by its id (logits)."""
    shelves = content.questions.values()
    return {question.id: question.difficulty for shelf in shelves for question in alive(shelf)}


def differing(found: Sequence[Calibrated], content: Content, lang: Lang) -> list[Change]:
    """What is worth publishing: estimates that nothing speaks against and that chance alone would
    not put so far from the author's."""
    note = content.copy_[lang]["calibration_note"]
    made: list[Change] = []
    for each in found:
        if each.new is None or each.error is None or each.flags or abs(each.new) > WIDEST:
            continue
        if abs(each.new - each.old) > CLEAR * each.error:
            new = round(each.new, 2)
            slots = {"old": f"{each.old:+.2f}", "new": f"{new:+.2f}", "error": f"{each.error:.2f}"}
            made.append((each.question, each.old, new, note.format(n=each.answers, **slots)))
    return made


def as_report(found: Sequence[Calibrated], wanted: Wanted, now: datetime) -> Report:
    """The table: a question a line, in the order of the bank."""
    rows = [
        (
            each.area or each.question.rsplit("-", 1)[0],
            each.question,
            each.answers,
            each.right / each.answers if each.answers else None,
            each.old,
            each.new,
            each.error,
            each.infit,
            each.outfit,
            each.correlation,
            each.expected,
            " ".join(each.flags),
        )
        for each in found
    ]
    many = sum(each.answers for each in found)
    return Report("calibration", COLUMNS, rows, many, now, wanted.ask, ("calibration",))


# --- in the process that holds the database ----------------------------------------------


async def _tell(
    scope: Scope, found: Sequence[Calibrated], changes: Sequence[Change]
) -> dict[str, str]:
    """Have it written down and published; what became of each change."""
    from bot.service import call

    counts = {
        "answers": sum(each.answers for each in found),
        "estimated": sum(each.new is not None for each in found),
    }
    args = {"by": scope.viewer, "counts": counts, "changes": [list(each) for each in changes]}
    answer: dict[str, Any] = await call(load_settings(), "calibration", args)
    if "refused" in answer:
        raise ConfigError(answer["refused"])
    became: dict[str, str] = answer["became"]
    return became


async def carry_out(
    service: "App", by: int | None, counts: dict[str, int], changes: list[list[Any]]
) -> dict[str, Any]:
    """Carried out by whoever holds the database: note who asked, publish what is wanted."""
    wanted: list[Change] = [(key, old, new, why) for key, old, new, why in changes]
    try:
        prepared = await service.read(
            lambda conn: calibration.prepare(conn, service.shelf.files, wanted)
        )

        def work(conn: Connection, now: datetime) -> None:
            scope = OPERATOR if by is None else scope_of(conn, by, now)
            done = len(prepared.drafts)
            calibration.noted(conn, scope, now, **counts, published=done)
            if done:
                calibration.publish(conn, scope, prepared, now)

        await service.dispatcher.run(work)
    except Unfit as unfit:
        return {"refused": f"--apply: the content check has something against it: {unfit}"}
    except revisions.Stale:
        return {"refused": "--apply: content has changed meanwhile: run it again"}
    except Denied:
        return {"refused": "--by: you have no right to this any more"}
    await service.read(service.shelf.look)
    return {"became": prepared.became}
