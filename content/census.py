"""What is in the bank, as a table in Markdown: by area, dimension and difficulty."""

from collections import Counter
from collections.abc import Iterator, Sequence

from content.bank import DIMENSIONS, EASY, HARD, SHELVES, chi_square, spread
from content.schema import LANGS, Content, Question, alive

BANDS = ("easy", "middle", "hard")
MARKS = ("O", "C", "T", "I", "M")


def band(question: Question) -> str:
    """Easy, middle or hard, by the author's logits."""
    if question.difficulty < EASY:
        return "easy"
    return "hard" if question.difficulty > HARD else "middle"


def table(content: Content) -> str:
    """The whole document. It depends on the content alone, so that it can be checked."""
    return "\n".join([*_head(content), *_counts(content), *_fairness(content), *_marks(content)])


def _head(content: Content) -> Iterator[str]:
    everything = [q for items in content.questions.values() for q in alive(items)]
    many = {folder: sum(map(len, map(alive, getattr(content, folder).values())))
            for folder in SHELVES}  # fmt: skip
    yield "# The bank\n"
    yield "Made by `kaona content table --out docs/bank.md`; a test keeps it fresh."
    yield "Easy is below −0.5 logits, hard above 0.5: the author's estimate until calibrated.\n"
    yield (
        f"{many['questions']} questions, {many['lessons']} lessons, {many['exercises']} exercises. "
        f"Places of the right options over the bank: chi-square {chi_square(everything):.2f} "
        "(three degrees of freedom; above 11.34 is a fault).\n"
    )


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _ruled(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield _row(head)
    yield _row(["---", *["--:"] * (len(head) - 1)])
    yield from map(_row, rows)
    yield ""


def _counts(content: Content) -> Iterator[str]:
    """Easy / middle / hard in each dimension, and how many lessons and exercises there are."""
    yield "## By area, dimension and difficulty\n"
    yield "Each cell: easy / middle / hard.\n"
    rows, sums, totals = list[list[object]](), Counter[tuple[str, str]](), [0, 0, 0]
    for subject in content.subjects:
        questions = alive(content.questions.get(subject.id, ()))
        counts = Counter[tuple[str, str]]((q.dimension, band(q)) for q in questions)
        sums += counts
        others = [len(alive(getattr(content, folder).get(subject.id, ())))
                  for folder in ("lessons", "exercises")]  # fmt: skip
        many = [len(questions), *others]
        totals = [sum(pair) for pair in zip(totals, many, strict=True)]
        rows.append([subject.id, *_cells(counts), *many])
    rows.append(["all", *_cells(sums), *totals])
    yield from _ruled(["area", *DIMENSIONS, "questions", "lessons", "exercises"], rows)


def _cells(counts: Counter[tuple[str, str]]) -> list[str]:
    return [" / ".join(str(counts[name, each]) for each in BANDS) for name in DIMENSIONS]


def _fairness(content: Content) -> Iterator[str]:
    """Where the right option stands, and how often its length gives it away."""
    yield "## Places and lengths of the right option\n"
    yield "By chance it is at each place, the longest, and the shortest in 25 %.\n"
    rows = []
    everything = [q for items in content.questions.values() for q in alive(items)]
    for name, questions in (
        *((each.id, alive(content.questions.get(each.id, ()))) for each in content.subjects),
        ("all", everything),
    ):
        found = spread(questions)
        shares = [counts[lang] for counts in (found.longest, found.shortest) for lang in LANGS]
        places = [found.places[at] for at in range(4)]
        rows.append([name, *places, *(f"{n / max(1, found.many):.0%}" for n in shares)])
    head = ["area", "1st", "2nd", "3rd", "4th", "longest th", "longest en", "shortest th",
            "shortest en"]  # fmt: skip
    yield from _ruled(head, rows)


def _marks(content: Content) -> Iterator[str]:
    """How sure the sources are."""
    yield "## Certainty of the sources\n"
    yield "Marks as in [sources.md](sources.md).\n"
    rows = []
    for folder in SHELVES:
        shelf = getattr(content, folder)
        counts = Counter(i.source.certainty for items in shelf.values() for i in alive(items))
        rows.append([folder, *(counts[mark] for mark in MARKS)])
    yield from _ruled(["of", *MARKS], rows)
