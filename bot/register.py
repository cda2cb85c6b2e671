"""Documents that are made from the register of personal data, in Thai: the table that goes with
the notice, the record of processing, the data map, and templates to be filled in."""

import html
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import content as package
from content.schema import Content, DataCategory, DataTable, Lang

FOLDER = Path(package.__file__).parent / "documents"
DPO = "[DPO]"
"""Stands for a contact that no setting names."""
LANG: Lang = "th"


def documents(content: Content, format: str = "md") -> dict[str, str]:
    """The text of every document, by the name of its file."""
    env = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown; as a page it is escaped further down
    )
    facts = _facts(content)
    made: dict[str, str] = {}
    for path in sorted(FOLDER.glob("*.md")):
        text = re.sub(r"\n{3,}", "\n\n", env.get_template(path.name).render(facts))
        made[f"{path.stem}.{format}"] = text if format == "md" else page(text)
    return made


def _facts(content: Content) -> dict[str, Any]:
    register = content.register_
    categories = [_category(each, content) for each in register.categories]
    return {
        "notice": content.notice,
        "dpo": content.dpo or DPO,
        "categories": categories,
        "purposes": [
            {
                "name": purpose.name.of(LANG),
                "basis": purpose.basis.of(LANG),
                "categories": [each for each in categories if each["purpose"] == purpose.id],
            }
            for purpose in register.purposes
        ],
        "tables": [_table(each, content) for each in register.tables],
    }


def _category(each: DataCategory, content: Content) -> dict[str, str]:
    register = content.register_
    names = {
        register.label(column, LANG)
        for table in register.tables
        if each.id in {table.category, *(part.category for part in table.parts)}
        for column in table.personal
    }
    return {
        "name": each.name.of(LANG),
        "why": each.why.of(LANG),
        "purpose": each.purpose,
        "basis": register.purpose(each.purpose).basis.of(LANG),
        "until": register.rule(each.rule).says(LANG),
        "source": each.source.of(LANG),
        "seen_by": each.seen_by.of(LANG),
        "fields": ", ".join(sorted(names)),
    }


def _table(each: DataTable, content: Content) -> dict[str, str]:
    register = content.register_
    ids = [each.category, *(part.category for part in each.parts)]
    known = [register.category(id) for id in ids if id]
    rules = [each.rule or known[0].rule] if each.rule or known else []
    rules += [category.rule for category in known[1:]]
    told = list(dict.fromkeys(register.rule(rule).says(LANG) for rule in rules))
    return {
        "name": each.name,
        "category": " · ".join(category.name.of(LANG) for category in known),
        "personal": ", ".join(f"`{name}`" for name in each.personal),
        "acts": ", ".join(f"`{name}`" for name in each.acts),
        "until": " · ".join(told),
    }


# --- as a page -----------------------------------------------------------------------


def page(text: str) -> str:
    """Our own few marks of Markdown as HTML: headings, lists, tables, paragraphs, code."""
    title = text.partition("\n")[0].lstrip("# ")
    blocks = re.split(r"\n{2,}", text.strip())
    body = "\n".join(_block(block.strip().splitlines()) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="th"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


STYLE = (
    "body{max-width:70rem;margin:2rem auto;padding:0 1rem;font:16px/1.6 Sarabun,sans-serif}"
    "div{overflow-x:auto}table{border-collapse:collapse}"
    "th,td{border:1px solid #bbb;padding:.3rem .6rem;text-align:left;vertical-align:top}"
)


def _block(lines: list[str]) -> str:
    first = lines[0]
    if heading := re.match(r"(#+) (.*)", first):
        level = len(heading[1])
        return f"<h{level}>{_inline(heading[2])}</h{level}>"
    if first.startswith("|"):
        return f"<div><table>{''.join(map(_row, [first, *lines[2:]]))}</table></div>"
    if first.startswith("- "):
        return "<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in lines) + "</ul>"
    if re.match(r"\d+\. ", first):
        items = (re.sub(r"^\d+\. ", "", line) for line in lines)
        return "<ol>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + "</ol>"
    return f"<p>{'<br>'.join(map(_inline, lines))}</p>"


def _row(line: str) -> str:
    cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
    return "<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in cells) + "</tr>"


def _inline(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text))
