"""How well each question works: how many are right, whether it tells people apart, which wrong
options draw nobody, and how long it takes."""

from datetime import UTC, datetime

from msgspec.json import decode
from sqlalchemy import Connection, select

from content.schema import ItemRules, Question
from flows.items import UNSURE
from flows.reports import Column, Report, Row
from storage.itemstats import CURSOR, Sums
from storage.models import item_stats
from storage.reports.common import View

OPTIONS = 6
"""As many as a question may have."""
COLUMNS = (
    Column("area", "word", "area"),
    Column("question"),
    Column("stem", "word", "question"),
    Column("answers", "count", sums=True),
    Column("facility", "share"),
    Column("discrimination", "number"),
    Column("of_pairs", "count"),
    Column("seconds", "number"),
    Column("right_option", "count"),
    *(Column(f"option_{n}", "share") for n in range(1, OPTIONS + 1)),
    Column("unsure", "share"),
    Column("leeches", "count", sums=True),
    Column("flags", "word", "words"),
)


def items(conn: Connection, view: View) -> Report:
    """Every question of the bank, in its order, from sums that were taken up as far as `as_of`."""
    kept = {row.question: row.data for row in conn.execute(select(item_stats))}
    rows: list[Row] = []
    total = 0
    for area in view.content.subjects:
        for question in view.content.questions.get(area.id, ()):
            sums = decode(kept.get(question.id, "{}"), type=Sums)
            total += sums.n
            rows.append(_row(area.id, question, sums, view))
    seen = decode(kept.get(CURSOR, "{}")).get("at")
    as_of = datetime.fromtimestamp(seen, UTC) if seen else view.now
    return Report("items", COLUMNS, rows, total, as_of, view.ask, ("items",))


def _row(area: str, question: Question, sums: Sums, view: View) -> Row:
    n = sums.n
    shares: list[float | None] = [
        sums.options.get(str(at), 0) / n if n and at < len(question.options) else None
        for at in range(OPTIONS)
    ]
    found = sums.discrimination
    unsure = sums.options.get(UNSURE, 0) / n if n else None
    return (
        area,
        question.id,
        question.id,
        n,
        sums.right / n if n else None,
        None if found is None else round(found, 3),
        sums.known,
        None if sums.seconds is None else round(sums.seconds, 1),
        question.right + 1,
        *shares,
        unsure,
        sums.leeches,
        " ".join(flags(question, sums, view.content.reports.items)),
    )


def flags(question: Question, sums: Sums, rules: ItemRules) -> list[str]:
    """What speaks against a question, once enough people have answered it."""
    found = ["leech"] if sums.leeches >= rules.leeches else []
    if sums.n < rules.fewest:
        return ["too_few", *found]
    facility = sums.right / sums.n
    if facility < rules.hard:
        found.append("hard")
    if facility > rules.easy:
        found.append("easy")
    told = sums.discrimination
    if told is not None and sums.known >= rules.fewest and told < rules.discrimination:
        found.append("weak")
    places = [at for at in range(len(question.options)) if at != question.right]
    wrong = [sums.options.get(str(at), 0) for at in places]
    if min(wrong) / sums.n < rules.distractor:
        found.append("idle_option")
    if max(wrong) > sums.right:
        found.append("drawn_away")
    return found
