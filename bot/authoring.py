"""`kaona content …`, and the check of all content: for authors, with or without a service."""

import asyncio
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.asking import Unwilling, out, refuse
from bot.config import load_settings
from content import bank
from content.load import HERE, ContentError, Fault, Files, load, load_terms, load_with
from content.schema import LANGS, Content

app = typer.Typer(no_args_is_help=True, help="The bank: out, in, and what is in it.")


def checked(today: date, *, deep: bool = False, root: Path = HERE) -> tuple[Content, list[Fault]]:
    """The content below `root` and what should be known of it; raises ContentError with all that
    must be mended. `deep`: spelling and reading level, too, which takes seconds."""
    from bot.render import drawing

    files = Files(root)
    content, terms = load_with(files), load_terms(root)
    found = bank.check(content, files, terms, today)
    faults = [*found.faults, *drawing.faults(content, root)]
    if deep:
        from flows import prose

        faults = faults + prose.check(content, files, terms)
    if faults:
        raise ContentError(sorted(faults))
    return content, sorted(found.warnings)


# --- a workbook --------------------------------------------------------------------------

GIFT = (".gift", ".txt")
"""How files of Moodle's GIFT are called."""
Book = Annotated[Path, typer.Argument(help="An XLSX file.")]
Tree = Annotated[
    Path | None,
    typer.Option("--files", help="The folder of TOML files, such as content: no database."),
]
By = Annotated[str, typer.Option(help="Your id at HR; it takes whoever answers for content.")]


@app.command()
def export(file: Book, files: Tree = None) -> None:
    """Write questions, lessons, exercises, steps and sentences to one workbook."""
    from bot import content_book, content_files
    from bot.wording import words

    if files is None:
        many = _ask("export", path=str(file.resolve()))
    else:
        try:
            many = content_book.write(content_files.entries(_tree(files)), file, words("th"))
        except OSError as error:
            raise Unwilling(f"{file}: {error.strerror}") from error
    out.print(f"{file}: " + ", ".join(f"{n} of kind {kind}" for kind, n in many.items()))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="An XLSX file that was exported, or GIFT.")],
    by: By = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    files: Tree = None,
    area: Annotated[str, typer.Option(help="Of GIFT: the area or topic it belongs to.")] = "",
    lang: Annotated[str, typer.Option(help="Of GIFT: its language, th or en.")] = "th",
    skip: Annotated[
        bool, typer.Option("--skip", help="Of GIFT: leave out kinds of questions we do not have.")
    ] = False,
) -> None:
    """Take a workbook's changed and new rows, or a GIFT file's questions, over as drafts; or rows
    into files. All, or nothing."""
    if not file.is_file():
        raise Unwilling(f"{file}: there is no such file")
    if file.suffix.lower() in GIFT:
        _gift(file, by, area, lang, files, skip=skip, dry_run=dry_run)
        return
    if files is not None:
        _into_files(file, _tree(files), dry_run=dry_run)
        return
    if not by:
        raise Unwilling("--by: say who you are: your id at HR")
    made = _ask("import", path=str(file.resolve()), by=by, dry=dry_run)
    _tell(made["drafts"], made["unchanged"], "would be a draft" if dry_run else "is a draft now")


def _gift(
    file: Path, by: str, area: str, lang: str, files: Path | None, *, skip: bool, dry_run: bool
) -> None:
    if files is not None:
        raise Unwilling("--files: questions from GIFT lack too much for a file: import drafts")
    if not area:
        raise Unwilling("--area: say which area the questions belong to, such as spreadsheet")
    if lang not in LANGS:
        raise Unwilling(f"--lang: {lang!r} is none of {', '.join(LANGS)}")
    if not by:
        raise Unwilling("--by: say who you are: your id at HR")
    asked = {"path": str(file.resolve()), "area": area, "by": by, "lang": lang}
    made = _ask("gift", **asked, skip=skip, dry=dry_run)
    for warning in made["warnings"]:
        out.print(f"warning: {warning}", markup=False)
    for draft in made["drafts"]:
        out.print(
            f"question {draft['key']} {'would be' if dry_run else 'is'} a draft; to be filled:"
        )
        for each in draft["missing"]:
            out.print(f"  {each}", markup=False)
    out.print(f"drafts: {len(made['drafts'])}")


def _into_files(file: Path, root: Path, *, dry_run: bool) -> None:
    from bot import content_book, content_files, sheets
    from flows.roster import say_refusal

    try:
        pages = content_book.read(file)
    except sheets.Unreadable as error:
        rules = load_with(Files(root)).roster
        raise Unwilling(f"{file}: {say_refusal(error.why, error.data, 'en', rules)}") from error
    made = content_files.changes(pages, root)
    refuse(made.faults)
    if not dry_run:
        content_files.save(made, root)
    _tell(made.changed, made.unchanged, "would be written" if dry_run else "was written")


def _tree(root: Path) -> Path:
    if not (root / "method.toml").is_file():
        raise Unwilling(f"--files: {root} is no folder of content: it has no method.toml")
    return root


def _tell(changed: list[str], unchanged: int, what: str) -> None:
    for each in changed:
        out.print(f"{each} {what}", markup=False)
    out.print(f"changed: {len(changed)}, as before: {unchanged}")


def _ask(do: str, **args: Any) -> Any:
    """Ask the running service, or do it in this process; what is refused ends the command."""
    from bot.service import call

    answer = asyncio.run(call(load_settings(), "content", {"do": do, "args": args}))
    if "refused" in answer:
        refuse(answer["refused"])
    return answer


# --- what is in it -----------------------------------------------------------------------


@app.command("table")
def table_(
    out_: Annotated[Path | None, typer.Option("--out", help="Write it here.")] = None,
) -> None:
    """The bank by area, dimension and difficulty, in Markdown."""
    from content.census import table

    made = table(load())
    if out_ is None:
        out.print(made, markup=False)
        return
    try:
        out_.write_text(made, encoding="utf-8")
    except OSError as error:
        raise Unwilling(f"{out_}: {error.strerror}") from error
    out.print(f"written to {out_}")
