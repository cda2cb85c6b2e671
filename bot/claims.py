"""`kaona roster codes` and its kin: one-time codes on sheets, and which chats are whose."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bot import handouts
from bot.config import Settings, load_settings
from bot.handouts import DOORS, MOST, Unwilling, door_of
from content.load import load
from content.schema import LANGS, Lang
from flows.calendar import local

app = typer.Typer(no_args_is_help=True, help="The agency's people, and which chats are theirs.")
out = Console(highlight=False, soft_wrap=True)

By = Annotated[str, typer.Option(help="Your id at HR; without it, the machine's operator.")]
Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]
FORMATS = ("pdf", "csv", "png-folder")


# --- codes ---------------------------------------------------------------------------------


@app.command()
def codes(
    out_file: Annotated[Path, typer.Option("--out", help="The file, or folder, to write.")],
    unit: Annotated[str, typer.Option(help="Only this unit and those below: path or name.")] = "",
    person: Annotated[str, typer.Option(help="Only this person: the id at HR.")] = "",
    again: Annotated[bool, typer.Option(help="Also for those who are linked already.")] = False,
    form: Annotated[str, typer.Option("--format", help="pdf, csv or png-folder.")] = "pdf",
    door: Annotated[str, typer.Option("--channel", help="line, telegram, web or none.")] = "",
    lang: Annotated[str, typer.Option(help="The language of the sheets: th or en.")] = "th",
    by: By = "",
) -> None:
    """One-time codes on sheets to cut, as a table, or as QR pictures. Good for 24 hours; codes
    that these people had before become void."""
    if form not in FORMATS or door not in ("", *DOORS) or lang not in LANGS:
        raise Unwilling("--format is pdf, csv or png-folder; --channel line, telegram, web or none")
    settings = load_settings()
    whom = {"unit": unit, "person": person, "again": again}
    asyncio.run(_hand_out(settings, out_file, whom, form, door, lang, by))


async def _hand_out(
    settings: Settings,
    path: Path,
    whom: dict[str, Any],
    form: str,
    door: str,
    lang: Lang,
    by: str,
) -> None:
    """Everything that may fail comes before the first code: older ones are void from then on."""
    opens = await door_of(settings, door)
    new = not path.exists()
    _writable(path, form)
    try:
        made = await _made(settings, whom, by, form)
    except BaseException:
        if new and path.is_file():  # no code was made, so no file is left
            path.unlink()
        raise
    _write(path, form, lang, [{**row, "link": opens(row["code"])} for row in made])
    until = local(datetime.fromisoformat(made[0]["until"]))
    out.print(f"{len(made):,} codes in {path}, good until {until:%Y-%m-%d %H:%M}", markup=False)


async def _made(
    settings: Settings, whom: dict[str, Any], by: str, form: str
) -> list[dict[str, Any]]:
    from bot.service import operator

    async with operator(settings) as who:

        async def ask(do: str, args: dict[str, Any]) -> Any:
            return _checked(await who.call("claims", {"do": do, "args": args}))

        found = await ask("count", {"whom": whom, "by": by})
        if not found["count"]:
            raise Unwilling("nobody to give codes to; --again is for those who are linked already")
        if form == "pdf" and found["count"] > MOST:
            raise Unwilling(f"{found['count']:,} people: use --unit, or --format csv")
        return await _issued(ask, {**whom, "unit": found["unit"]}, by, found["count"])


async def _issued(ask: Ask, whom: dict[str, Any], by: str, many: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    after: dict[str, Any] | None = {}
    with Progress(transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("Codes", total=many)
        while after is not None:
            page = await ask("issue", {"whom": whom, "by": by, "after": after})
            made += page["codes"]
            after = page["after"]
            bar.update(task, completed=len(made))
    return made


# --- writing -------------------------------------------------------------------------------


def _writable(path: Path, form: str) -> None:
    """Make the file or folder, for its owner only, before any code is made."""
    try:
        if form == "png-folder":
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = path / "codes.csv"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise Unwilling(f"--out: cannot write {path}: {error.strerror}") from error


def _write(path: Path, form: str, lang: Lang, rows: Sequence[dict[str, Any]]) -> None:
    from bot.render import sheets

    if form == "csv":
        path.write_text(handouts.table(rows), encoding="utf-8-sig", newline="")
        return
    if form == "png-folder":
        for row in rows:
            row["file"] = re.sub(r"[^A-Za-z0-9_-]", "_", row["hr_id"]) + ".png"
            picture = path / row["file"]
            picture.touch(mode=0o600)
            picture.write_bytes(sheets.png(row["link"]))
        (path / "codes.csv").write_text(handouts.table(rows), encoding="utf-8-sig", newline="")
        return
    path.write_bytes(handouts.sheets(rows, load().copy_[lang], lang))


# --- links ---------------------------------------------------------------------------------


@app.command("links")
def links_(
    person: Annotated[str, typer.Option(help="Only of this person: the id at HR.")] = "",
    by: By = "",
) -> None:
    """What was linked, put together, replaced and parted; the newest first."""
    rows = _call("links", person=person, by=by)
    table = Table("number", "at", "id at HR", "what", "channel", box=None)
    for row in rows:
        at = local(datetime.fromisoformat(row["at"]))
        table.add_row(
            str(row["id"]), f"{at:%Y-%m-%d %H:%M}", row["hr_id"], row["what"], row["channel"]
        )
    out.print(table if rows else "nothing was linked yet: see `kaona roster codes`")


@app.command()
def unlink(person: Annotated[str, typer.Argument(help="The id at HR.")], by: By = "") -> None:
    """End the link of a person to their chats, which go on as a guest's."""
    _call("unlink", person=person, by=by)
    out.print(f"{person} is linked to no chat; a new code links them again", markup=False)


@app.command()
def unmerge(
    link: Annotated[int, typer.Argument(help="The number in `kaona roster links`.")], by: By = ""
) -> None:
    """Part two chats that were put together, each with what was its own."""
    _call("unmerge", link=link, by=by)
    out.print(f"{link} is undone")


def _call(do: str, **args: Any) -> Any:
    from bot.service import call

    return _checked(asyncio.run(call(load_settings(), "claims", {"do": do, "args": args})))


def _checked(answer: Any) -> Any:
    if isinstance(answer, dict) and "refused" in answer:
        raise Unwilling(answer["refused"])
    return answer
