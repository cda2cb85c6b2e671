"""`kaona evidence …`: uses at work, of which HR chooses some for the report, without names."""

from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel

from bot.asking import Unwilling, ask, out

app = typer.Typer(no_args_is_help=True, help="Uses at work: choose some for the report.")
Id = Annotated[int, typer.Argument(help="The number of a use: see `kaona evidence list`.")]
By = Annotated[str, typer.Option(help="Your id at HR; it takes a right to see names.")]


@app.command("list")
def list_(
    by: By,
    status: Annotated[str, typer.Option(help="new, chosen or set_aside; empty: all.")] = "new",
    after: Annotated[int, typer.Option(help="Go on after this number.")] = 0,
) -> None:
    """What learners wrote, and a suggestion that names nobody. That you read it is noted."""
    from rich.markup import escape

    rows = ask("uses", by=by, status=status, after=after)
    for row in rows:
        said = [row["text"][key] for key in ("where", "whom", "changed")]
        flags = [name for name in ("confirmed", "shared") if row[name]]
        lines = [*said, f"→ {row['narrative']}"]
        title = f"{row['id']} · {row['status']} · {row['hr_id']} · {row['unit']}"
        body = escape("\n".join(lines))
        out.print(Panel(body, title=escape(title), subtitle=" ".join(flags), width=100))
    if not rows:
        out.print("no uses at work")


@app.command()
def choose(
    id: Id,
    by: By,
    narrative: Annotated[
        Path | None, typer.Option(help="A text file that names nobody; without it, the suggestion.")
    ] = None,
    not_a_name: Annotated[
        bool, typer.Option("--not-a-name", help="A word that is also a name is not meant as one.")
    ] = False,
) -> None:
    """Choose a use for the report."""
    text = _read(narrative) if narrative else _suggested(id, by)
    ask("choose", id=id, narrative=text, by=by, sure=not_a_name)
    out.print(f"{id} chosen:")
    out.print(text, markup=False)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Unwilling(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Unwilling(f"{path}: not UTF-8: save it as UTF-8") from error


def _suggested(id: int, by: str) -> str:
    """What the list suggests; a person must have read it, so it is shown before it is kept."""
    for row in ask("uses", by=by, after=id - 1):
        if row["id"] == id:
            out.print(row["narrative"], markup=False)
            if not typer.confirm("keep these words"):
                raise Unwilling("nothing was kept: write your own words and say --narrative FILE")
            return str(row["narrative"])
    raise Unwilling(f"{id}: no such use at work in the units that you look after")


@app.command("set-aside")
def set_aside(id: Id, by: By) -> None:
    """Leave a use out of the report."""
    ask("set_aside", id=id, by=by)
    out.print(f"{id} is left out of the report")
