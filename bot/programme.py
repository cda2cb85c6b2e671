"""`kaona programme …`: the agency's own cycle around the method, year by year."""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from bot.asking import By, Unwilling, Year, ask, out, read_toml, write_file

app = typer.Typer(no_args_is_help=True, help="The agency's programme of a year, stage by stage.")
FILE = Path(__file__).parent.parent / "content" / "reports" / "programme.toml"
WIDE = 160
ANSWERS = {"y": True, "yes": True, "n": False, "no": False}


@app.command()
def show(
    year: Year,
    out_: Annotated[Path | None, typer.Option("--out", help="Write it here, to be edited.")] = None,
) -> None:
    """How the stages of a year stand; with --out, all of it as a file."""
    found = ask("show", year=year)
    programme, ripe = found["programme"], found["maturity"]
    if out_ is not None:
        write_file(out_, to_toml(programme).encode())
        out.print(f"version {programme['version']} written to {out_}")
        return
    stages = {stage.id: stage.name.th for stage in _content().cycle.stages}
    table = Table("stage", "state", "from", "until", "evidence", box=None)
    entries = {entry["id"]: entry for entry in programme["stage"]}
    for id, name in stages.items():
        entry = entries.get(id, {})
        days = [entry.get(key) or "" for key in ("from", "until")]
        state, proof = entry.get("state", "planned"), "; ".join(entry.get("evidence", []))
        table.add_row(name, state, *days, proof)
    out.print(f"programme of {year}, version {programme['version']}")
    out.print(table, width=WIDE, crop=False)
    level = ripe["level"] or f"{ripe['answered']} of {ripe['asked']} questions answered"
    out.print(f"maturity: {level}")


@app.command("set")
def set_(
    year: Year,
    by: By,
    file: Annotated[Path, typer.Option(help="A TOML file: see `kaona programme template`.")],
) -> None:
    """Keep a programme from a file; refused if somebody else has changed it meanwhile."""
    made = ask("set", year=year, plain=read_toml(file), by=by)
    out.print(f"programme of {year}: version {made['version']}")


@app.command()
def edit(year: Year, by: By) -> None:
    """Open the programme in your editor ($EDITOR), and keep what you save."""
    found = ask("show", year=year)
    path, before = Path(f"programme-{year}.toml"), to_toml(found["programme"])
    if path.exists():
        raise Unwilling(
            f"{path} is there already: keep it with `kaona programme set`, or remove it"
        )
    write_file(path, before.encode())  # here, so that nothing is lost if it is refused
    subprocess.run([*shlex.split(os.environ.get("EDITOR", "vi")), str(path)], check=False)
    if path.read_text(encoding="utf-8") == before:
        path.unlink()
        out.print("nothing was changed")
        return
    made = ask("set", year=year, plain=read_toml(path), by=by)
    path.unlink()
    out.print(f"programme of {year}: version {made['version']}")


@app.command()
def template(
    out_: Annotated[Path, typer.Option("--out", help="Where to write it.")],
) -> None:
    """An empty programme to fill in, with every stage and what each field means."""
    if out_.exists():
        raise Unwilling(f"{out_} is there already: name another file")
    write_file(out_, FILE.read_bytes())
    out.print(f"written to {out_}; then: kaona programme set --year … --file {out_} --by …")


@app.command()
def maturity(
    year: Year,
    by: By,
    answer: Annotated[
        list[str] | None, typer.Option(help='Such as "e-file=yes"; without any, you are asked.')
    ] = None,
) -> None:
    """Answer the short questionnaire on how mature the agency is."""
    found = ask("show", year=year)
    answers = _given(answer) if answer else _asked(found["programme"]["maturity"])
    ask("assess", year=year, answers=answers, version=found["programme"]["version"], by=by)
    ripe = ask("show", year=year)["maturity"]
    names = {level.id: level.name.th for level in _content().cycle.levels}
    if ripe["level"]:
        out.print(f"maturity: {names[ripe['level']]}")
    else:
        out.print(f"{ripe['answered']} of {ripe['asked']} questions answered")
    for id, (some, of) in ripe["found"].items():
        out.print(f"  {names[id]}: {some} / {of}")


def _given(answers: list[str]) -> dict[str, bool]:
    found = {}
    for each in answers:
        sign, _, said = each.partition("=")
        if said.lower() not in ANSWERS:
            raise Unwilling(f"--answer: {each!r}: write it as SIGN=yes or SIGN=no")
        found[sign] = ANSWERS[said.lower()]
    return found


def _asked(known: dict[str, bool]) -> dict[str, bool]:
    return {
        sign.id: typer.confirm(sign.text.th, default=known.get(sign.id, False))
        for level in _content().cycle.levels
        for sign in level.signs
    }


def _content() -> Any:
    from content.load import load

    return load()


# --- as a file -----------------------------------------------------------------------------


def to_toml(programme: dict[str, Any]) -> str:
    """A programme as a TOML file that reads back as the same."""
    return "\n".join(_table(programme, ())) + "\n"


def _table(values: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Plain values first, then the tables below them."""
    for key, value in values.items():
        if value is not None and not _is_table(value):
            yield f"{key} = {_value(key, value)}"
    for key, value in values.items():
        name = (*path, key)
        if isinstance(value, dict):
            yield f"\n[{'.'.join(name)}]"
            yield from _table(value, name)
        elif _is_table(value):
            for each in value:
                yield f"\n[[{'.'.join(name)}]]"
                yield from _table(each, name)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict)
    )


DATES = ("from", "until", "announced_on", "order_date", "held_on")


def _value(key: str, value: Any) -> str:
    if key in DATES:
        return str(value)
    # a JSON string is a TOML string, too, but for the one letter that TOML wants escaped
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
