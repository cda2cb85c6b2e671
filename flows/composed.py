"""The report as a document: its sentences, tables and charts, in the order of the layout. What
renders it decides nothing, and it says the same as PDF, DOCX and XLSX."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Literal

from msgspec import Struct, field

from content.schema import Layout
from flows.calendar import local
from flows.report import BANDS, Change, Many, Report
from flows.text import long_date, short_date

Cell = str | int | float | None
"""None: not shown."""
Form = Literal["text", "count", "logit", "percent", "hours"]
THAI_DIGITS = str.maketrans(
    "0123456789", "\u0e50\u0e51\u0e52\u0e53\u0e54\u0e55\u0e56\u0e57\u0e58\u0e59"
)


class Grid(Struct, tag="grid"):
    """A table; `widths` are shares of the page. The last row may be a sum."""

    title: str
    heads: list[str]
    forms: list[Form]
    rows: list[list[Cell]]
    widths: list[float]
    total: bool = False


class Series(Struct):
    name: str
    values: list[float | None]


class Chart(Struct, tag="chart"):
    """Bars by name; `alt` says the same in words."""

    title: str
    alt: str
    names: list[str]
    series: list[Series]
    form: Form


class Line(Struct, tag="line"):
    """A paragraph; a `lead` stands before it in bold."""

    text: str
    lead: str = ""


class Bullets(Struct, tag="bullets"):
    title: str
    items: list[str]


Block = Grid | Chart | Line | Bullets


class Part(Struct):
    id: str
    heading: str
    sheet: str
    blocks: list[Block]
    notes: list[str]


class Cover(Struct):
    """The memo: its fields, as (word, what follows it), its paragraphs, who signs."""

    head: str
    fields: list[tuple[str, str]]
    addressee: tuple[str, str]
    attached: tuple[str, str]
    paragraphs: list[str]
    signs: list[str]


class Document(Struct):
    title: str
    year_line: str
    agency: str
    state: str
    marks: list[str]
    """Said on every page: draft or internal; empty for what goes to OCSC."""
    dated: str
    """ISO day of the files' own properties."""
    hash: str
    hash_line: str
    page: str
    """With slots page and pages."""
    hidden: str
    cover: Cover
    parts: list[Part] = field(default_factory=list)


def compose(report: Report, hash: str, layout: Layout) -> Document:
    """The document of a report whose JSON has this hash."""
    words, slots = layout.words, _slots(report, layout)
    made = local(datetime.fromisoformat(report.made_at)).date()
    draft = report.version == 0
    marks = [words["draft_long"]] if draft else []
    if report.audience == "internal":
        marks.append(words["internal"])
    return Document(
        title=words["title"],
        year_line=words["for_year"].format_map(slots),
        agency=report.agency,
        state=slots["state"],
        marks=marks,
        dated=made.isoformat(),
        hash=hash,
        hash_line=words["hash"].format(hash=hash),
        page=words["page"],
        hidden=words["hidden"],
        cover=_cover(report, slots, made, layout),
        parts=[
            Part(
                section.id,
                section.heading,
                section.sheet,
                [
                    *(Line(text.format_map(slots).strip()) for text in section.lead),
                    *(block for name in section.blocks for block in BLOCKS[name](report, layout)),
                ],
                [said for note in section.notes if (said := note.format_map(slots).strip())],
            )
            for section in layout.sections
        ],
    )


# --- words -----------------------------------------------------------------------------


def _slots(report: Report, layout: Layout) -> dict[str, str]:
    """What the sentences of the layout may fill in."""
    words, key = layout.words, report.key
    first, last = (long_date(date.fromisoformat(day), "th") for day in (report.first, report.last))
    lecture = report.lecture_share
    most = f"{100 * layout.lecture_most:.0f}"
    verdict = "lecture_met" if (lecture or 0) <= layout.lecture_most else "lecture_missed"
    hides = report.audience == "ocsc"
    return {
        **report.names,
        "framework": report.names["framework"],
        "agency": report.agency,
        "year": str(report.year),
        "least": str(report.least),
        "roster": _told(report.roster, words),
        **{name: _told(key[name], words) for name in ("people", "finished", "used")},
        "lecture_share": words["none"] if lecture is None else f"{100 * lecture:.1f}",
        "other_share": words["none"] if lecture is None else f"{100 * (1 - lecture):.1f}",
        "lecture_verdict": "" if lecture is None else words[verdict].format(most=most),
        "period": words["period"].format(first=first, last=last),
        "state": _state(report, words),
        "hidden_note": words["hidden_note"].format(least=report.least) if hides else "",
    }


def _state(report: Report, words: dict[str, str]) -> str:
    if not report.version:
        return words["draft"]
    day = long_date(local(datetime.fromisoformat(report.made_at)).date(), "th")
    said = words["frozen"].format(version=report.version, date=day)
    if report.replaces:
        said += " " + words["replaces"].format(version=report.replaces)
    return said


def _told(many: Any, words: dict[str, str]) -> str:
    """A number of people in a sentence."""
    return words["hidden_people"] if many is None else words["people_of"].format(n=many)


def _count(many: Any, words: dict[str, str]) -> str:
    return words["hidden"] if many is None else f"{many:,}"


def _cover(report: Report, slots: dict[str, str], made: date, layout: Layout) -> Cover:
    """The memo, in Thai digits as official letters have them."""
    words = layout.words
    memo = (report.programme or {}).get("memo", {})
    figures = ("year", "people", "finished", "used", "least")
    thai = slots | {name: slots[name].translate(THAI_DIGITS) for name in figures}
    name, title = memo.get("signer_name", ""), memo.get("signer_title", "")
    day = long_date(made, "th") if report.version else ""
    subject = words["memo_subject_text"].format_map(thai)
    return Cover(
        words["memo_head"],
        [
            (words["memo_department"], memo.get("department") or report.agency),
            (words["memo_number"], memo.get("number", "").translate(THAI_DIGITS)),
            (words["memo_date"], day.translate(THAI_DIGITS)),
            (words["memo_subject"], subject),
        ],
        (words["memo_addressee"], memo.get("addressee") or words["memo_addressee_text"]),
        (words["memo_attached"], words["memo_attached_text"].translate(THAI_DIGITS)),
        [paragraph.format_map(thai) for paragraph in layout.memo],
        [
            words["memo_signer"].format(name=name) if name else words["memo_signer_blank"],
            words["memo_title"].format(title=title) if title else words["memo_title_blank"],
        ],
    )


# --- people ----------------------------------------------------------------------------


def _summary(report: Report, layout: Layout) -> list[Block]:
    words, people = layout.words, report.key["people"]
    rows: list[list[Cell]] = [[words["roster"], report.roster, None]]
    for name in ("people", "finished", "feedback", "certified", "used", "confirmed", "shared"):
        many = report.key[name]
        share = _share(many, people)
        rows.append([words[name], many, share])
    rows[0][2] = ""
    heads = [words["item"], words["many"], words["share"]]
    return [Grid("", heads, ["text", "count", "percent"], rows, [5, 2, 2])]


def _share(some: Many | float | str, of: Many | float | str) -> float | None:
    return some / of if isinstance(some, int) and isinstance(of, int) and of else None


def _steps_chart(report: Report, layout: Layout) -> list[Block]:
    words, total = layout.words, report.groups[-1].counts
    names = [f"{at}. {name}" for at, name in enumerate(report.steps.values(), 1)]
    values = [total[step] for step in report.steps]
    return [_chart(words["steps_chart"], names, [("", values)], "count", words)]


def _chart(
    title: str,
    names: list[str],
    series: Sequence[tuple[str, Sequence[float | None]]],
    form: Form,
    words: dict[str, str],
) -> Chart:
    """A chart, and in words what it shows."""
    said = [
        f"{name}: "
        + ", ".join(f"{of} {shown(values[at], form, words)}".strip() for of, values in series)
        for at, name in enumerate(names)
    ]
    alt = f"{title}: " + "; ".join(said)
    return Chart(title, alt, names, [Series(of, list(values)) for of, values in series], form)


def shown(value: Cell, form: Form, words: dict[str, str]) -> str:
    """A cell as it is read."""
    if value is None:
        return words["hidden"]
    if isinstance(value, str):
        return value
    match form:
        case "count":
            return f"{value:,.0f}"
        case "logit":
            return f"{value:+.2f}".replace("-", "\u2212")
        case "percent":
            return f"{100 * value:.1f}"
        case "hours":
            return f"{value:,.1f}"
    return str(value)


def _forms(form: Form, columns: Sequence[Any]) -> list[Form]:
    """Text, then columns of one form."""
    first: list[Form] = ["text"]
    return first + [form] * len(columns)


def _people(
    report: Report, keys: Sequence[str], heads: list[str], title: str, words: dict[str, str]
) -> Grid:
    """Counts by group, with their sum."""
    rows: list[list[Cell]] = [
        [row.name, *(row.counts[key] for key in keys)] for row in report.groups
    ]
    forms = _forms("count", keys)
    first = 10 / (len(keys) + 2)
    return Grid(
        title, [words["group"], *heads], forms, rows, [max(first, 2.6), *(1.4 for _ in keys)], True
    )


def _steps(report: Report, layout: Layout) -> list[Block]:
    words = layout.words
    heads = [
        words["people"],
        *(f"{at}. {name}" for at, name in enumerate(report.steps.values(), 1)),
    ]
    return [_people(report, ["people", *report.steps], heads, words["steps_table"], words)]


def _outcome(report: Report, layout: Layout) -> list[Block]:
    words, keys = layout.words, ["people", "feedback", "certified"]
    return [_people(report, keys, [words[key] for key in keys], words["outcome_table"], words)]


def _use(report: Report, layout: Layout) -> list[Block]:
    words, keys = layout.words, ["used", "confirmed", "shared"]
    return [_people(report, keys, [words[key] for key in keys], words["use_table"], words)]


def _narratives(report: Report, layout: Layout) -> list[Block]:
    words = layout.words
    if not report.stories:
        return [Line(words["narratives_none"], words["narratives"])]
    items = [
        f"{story.text} ({words['narrative_confirmed']})" if story.confirmed else story.text
        for story in report.stories
    ]
    return [Bullets(words["narratives"], items)]


# --- before and after ------------------------------------------------------------------


def _areas(report: Report, layout: Layout) -> list[Block]:
    words = layout.words
    rows: list[list[Cell]] = [[area.name, *_changed(area.change, words)] for area in report.areas]
    heads = [
        words[key] for key in ("area", "pairs", "before", "after", "change", "interval", "verdict")
    ]
    forms: list[Form] = ["text", "count", "logit", "logit", "logit", "text", "text"]
    return [Grid(words["areas_table"], heads, forms, rows, [3.2, 1.4, 1.1, 1.1, 1.6, 1.9, 2])]


def _changed(change: Change, words: dict[str, str]) -> list[Cell]:
    if not change.n:
        return [change.n, None, None, None, words["hidden"], words["hidden"]]
    interval = words["hidden"]
    if change.low is not None:
        low, high = (shown(value, "logit", words) for value in (change.low, change.high))
        interval = words["interval_of"].format(low=low, high=high)
    verdict = words[change.verdict] if change.verdict else words["hidden"]
    return [change.n, change.before, change.after, change.value, interval, verdict]


def _areas_chart(report: Report, layout: Layout) -> list[Block]:
    words = layout.words
    names = [area.name for area in report.areas]
    before = [area.change.before for area in report.areas]
    after = [area.change.after for area in report.areas]
    series = [(words["before"], before), (words["after"], after)]
    if not any(value is not None for value in before):
        return []
    return [_chart(words["areas_chart"], names, series, "logit", words)]


def _bands(report: Report, layout: Layout) -> list[Block]:
    words = layout.words
    heads = [
        words["band_of"].format(band=words[band], when=words[when])
        for when in ("before", "after")
        for band in BANDS
    ]
    rows: list[list[Cell]] = [
        [area.name, *area.bands_before, *area.bands_after] for area in report.areas
    ]
    forms = _forms("count", heads)
    return [
        Grid(
            words["bands_table"], [words["area"], *heads], forms, rows, [3.4, *(1.3 for _ in heads)]
        )
    ]


def _group_areas(report: Report, layout: Layout) -> list[Block]:
    """The mean change of each group in each area; the number of people stands beside it."""
    words = layout.words
    groups = [row for row in report.groups if any(row.id in area.groups for area in report.areas)]
    if not groups:
        return []
    rows: list[list[Cell]] = [
        [area.name, *(_change_of(area.groups.get(group.id), words) for group in groups)]
        for area in report.areas
    ]
    heads = [words["area"], *(group.name for group in groups)]
    forms = _forms("text", groups)
    return [Grid(words["group_areas_table"], heads, forms, rows, [2.6, *(1.6 for _ in groups)])]


def _change_of(change: Change | None, words: dict[str, str]) -> str:
    if change is None or not change.n or change.value is None:
        return words["hidden"]
    said = words["change_of"].format(change=shown(change.value, "logit", words), n=change.n)
    return said + (words["chance_mark"] if change.verdict == "chance" else "")


# --- methods ---------------------------------------------------------------------------


def _methods(report: Report, layout: Layout) -> list[Block]:
    words = layout.words
    rows: list[list[Cell]] = [
        [row.name, words[row.kind], row.times, row.hours, row.share] for row in report.methods
    ]
    heads = [words[key] for key in ("method", "kind", "times", "hours", "hours_share")]
    forms: list[Form] = ["text", "text", "count", "hours", "percent"]
    return [Grid(words["methods_table"], heads, forms, rows, [4, 1.3, 1.5, 1.8, 1.2])]


def _methods_chart(report: Report, layout: Layout) -> list[Block]:
    words, lecture = layout.words, report.lecture_share
    if lecture is None:
        return []
    names = [words["lecture"], words["other"]]
    return [_chart(words["methods_chart"], names, [("", [lecture, 1 - lecture])], "percent", words)]


# --- the agency ------------------------------------------------------------------------


def _policy(report: Report, layout: Layout) -> list[Block]:
    words, programme = layout.words, report.programme
    if programme is None:
        return [Line(words["programme_none"])]
    policy = programme["policy"]
    said = policy["statement"] or words["policy_none"]
    if policy["document"]:
        said += " " + words["policy_document"].format(document=policy["document"])
    if policy["announced_on"]:
        said += " " + words["policy_announced"].format(date=_day(policy["announced_on"]))
    return [Line(said, words["policy"])]


def _day(iso: str | None) -> str:
    return long_date(date.fromisoformat(iso), "th") if iso else ""


def _goals(report: Report, layout: Layout) -> list[Block]:
    words, goals = layout.words, ((report.programme or {}).get("policy") or {}).get("goal", [])
    if not goals:
        return []
    rows: list[list[Cell]] = [[goal["text"], goal["target"]] for goal in goals]
    return [
        Grid(words["goals_table"], [words["goal"], words["target"]], ["text", "text"], rows, [6, 2])
    ]


def _stages(report: Report, layout: Layout) -> list[Block]:
    words = layout.words
    if report.programme is None:
        return []
    rows: list[list[Cell]] = []
    for at, stage in enumerate(report.programme["stage"], 1):
        proof = [*stage.get("evidence", []), *filter(None, [stage.get("note", "")])]
        rows.append(
            [
                f"{at}. {stage['name']}",
                words[stage["state"]],
                _dates(stage, words),
                "; ".join(proof),
            ]
        )
    heads = [words[key] for key in ("stage", "state", "dates", "evidence")]
    forms: list[Form] = ["text", "text", "text", "text"]
    return [Grid(words["stages_table"], heads, forms, rows, [3, 1.7, 2.4, 3])]


def _dates(stage: dict[str, Any], words: dict[str, str]) -> str:
    """From when to when, as far as it is known."""
    known = {key: stage[key] for key in ("from", "until") if stage.get(key)}
    said = {key: short_date(date.fromisoformat(day), "th") for key, day in known.items()}
    return words["dates_" + "_".join(said)].format_map(said) if said else ""


def _working_group(report: Report, layout: Layout) -> list[Block]:
    words, group = layout.words, (report.programme or {}).get("working_group")
    if not group or not (group["head"]["title"] or group["member"]):
        return []
    people = [(words["head"], group["head"]), *((words["member"], m) for m in group["member"])]
    rows: list[list[Cell]] = [[role, who["title"], who["duty"]] for role, who in people]
    title = words["working_group_table"]
    if group["order"]:
        title += f" ({words['order']} {group['order']})"
    heads = ["", words["position"], words["duty"]]
    blocks: list[Block] = [Grid(title, heads, ["text", "text", "text"], rows, [2, 3, 4])]
    if group["override"]:
        blocks.append(Line(words["override"].format(override=group["override"])))
    return blocks


def _plans(report: Report, layout: Layout) -> list[Block]:
    words, plans = layout.words, (report.programme or {}).get("plan", [])
    if not plans:
        return []
    keys = ("name", "ability", "interest", "approach")
    rows: list[list[Cell]] = [[plan[key] for key in keys] for plan in plans]
    heads = [words[key] for key in ("group", "ability", "interest", "approach")]
    return [Grid(words["plans_table"], heads, ["text"] * 4, rows, [2, 3, 3, 4])]


def _follow_up(report: Report, layout: Layout) -> list[Block]:
    """How people were followed up and moved, with what the system knows of it."""
    words, programme, key = layout.words, report.programme, report.key
    if programme is None:
        return []
    follow, moved = programme["follow_up"], programme["motivation"]
    said = []
    if follow["how"]:
        said.append(words["follow_up"].format(how=follow["how"]))
    people = _count(key["feedback"], words)
    feedback = follow["feedback"] or words["none"]
    said.append(words["follow_up_feedback"].format(feedback=feedback, people=people))
    found = {"chosen": len(report.stories), "certified": _count(key["certified"], words)}
    for name in ("role_models", "certificates", "other"):
        if moved[name]:
            said.append(words["motivation_" + name].format(text=moved[name], **found))
    return [Bullets(words["follow_up_title"], said)]


def _maturity(report: Report, layout: Layout) -> list[Block]:
    words, ripe = layout.words, report.maturity
    if ripe is None or report.programme is None:
        return [Line(words["maturity_none"])]
    levels = report.programme["levels"]
    result = words["maturity_open"].format(answered=ripe.answered, asked=ripe.asked)
    for level in levels:
        if level["id"] == ripe.level:
            result = words["maturity_result"].format(level=level["name"], about=level["about"])
    found = ", ".join(
        words["maturity_of"].format(level=level["name"], some=some, of=of)
        for level in levels
        for some, of in [ripe.found.get(level["id"], (0, 0))]
        if of
    )
    says = {True: words["yes"], False: words["no"], None: words["unanswered"]}
    rows: list[list[Cell]] = [
        [level["name"], sign, says[answer]] for level in levels for sign, answer in level["signs"]
    ]
    heads = [words["level"], words["sign"], words["answer"]]
    table = Grid(words["maturity_table"], heads, ["text", "text", "text"], rows, [3, 5, 1.3])
    return [Line(result), Line(words["maturity_why"].format(found=found)), table]


def _mapped(kind: str, title: str) -> Callable[[Report, Layout], list[Block]]:
    def block(report: Report, layout: Layout) -> list[Block]:
        words = layout.words
        rows: list[list[Cell]] = [
            [row.old, "; ".join(row.new) or words["new_open"], row.note]
            for row in report.mapping
            if row.kind == kind
        ]
        heads = [words["old"], words["new"], words["note"]]
        return [Grid(words[title], heads, ["text", "text", "text"], rows, [3, 3.4, 4])]

    return block


# --- last year, and how good the figures are ---------------------------------------------


def _comparison(report: Report, layout: Layout) -> list[Block]:
    words, before = layout.words, report.previous
    if before is None:
        return [Line(words["comparison_none"].format(year=report.year - 1))]
    rows: list[list[Cell]] = []
    for name in ("people", "finished", "feedback", "certified", "used", "confirmed", "shared"):
        old, new = before.get(name), report.key[name]
        change = new - old if isinstance(old, int) and isinstance(new, int) else None
        # a difference so small would tell of a group that is not shown
        tells = change is not None and 0 < abs(change) < report.least
        said = None if change is None or tells else f"{change:+,}".replace("-", "\u2212")
        rows.append([words[name], _count(old, words), _count(new, words), said])
    lecture = [before.get("lecture_share"), report.lecture_share]
    shares = [words["none"] if value is None else f"{100 * value:.1f}" for value in lecture]
    rows.append([words["lecture_percent"], *shares, ""])
    levels = [before.get("level") or words["none"], report.key["level"] or words["none"]]
    rows.append([words["level"], *(str(level) for level in levels), ""])
    heads = [
        words["item"],
        *(words["last_year"].format(year=year) for year in (report.year - 1, report.year)),
        words["change"],
    ]
    return [Grid(words["comparison_table"], heads, ["text"] * 4, rows, [3.5, 2.4, 2.4, 1.6])]


def _quality(report: Report, layout: Layout) -> list[Block]:
    words = layout.words
    rows: list[list[Cell]] = [
        [words["quality_" + key], many] for key, many in report.quality.items()
    ]
    return [
        Grid(
            words["quality_table"],
            [words["quality"], words["amount"]],
            ["text", "count"],
            rows,
            [6, 1.5],
        )
    ]


BLOCKS: dict[str, Callable[[Report, Layout], list[Block]]] = {
    "summary": _summary,
    "steps_chart": _steps_chart,
    "policy": _policy,
    "goals": _goals,
    "stages": _stages,
    "working_group": _working_group,
    "plans": _plans,
    "follow_up": _follow_up,
    "steps": _steps,
    "outcome": _outcome,
    "areas": _areas,
    "areas_chart": _areas_chart,
    "bands": _bands,
    "group_areas": _group_areas,
    "use": _use,
    "narratives": _narratives,
    "methods": _methods,
    "methods_chart": _methods_chart,
    "maturity": _maturity,
    "mapping_groups": _mapped("group", "mapping_groups"),
    "mapping_skills": _mapped("skill_group", "mapping_skills"),
    "comparison": _comparison,
    "quality": _quality,
}
"""What a section of the layout may hold."""
