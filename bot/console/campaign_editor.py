"""Writing a campaign: its form, with what is wrong beside each field, and what it comes to."""

from typing import Any

from starlette.responses import Response

from bot import desk
from bot.console import audiences, campaign_forms
from bot.console.campaign_forms import PURPOSES, WAVES, Typed, Values
from bot.console.forms import number
from bot.console.pages import Page, Visit
from bot.console.previews import previews
from bot.errors import BadRequest
from bot.wording import words
from content.lint import Problem
from content.schema import Campaign
from storage import audience, campaigns, journal, named, reach
from storage.campaigns import Refused
from storage.scope import Power

NEEDS: tuple[Power, ...] = ("send", "approve")
DRAFTS = ("draft", "checked")


# --- a new one -----------------------------------------------------------------------------


async def choose(visit: Visit) -> Response:
    """What to start from."""
    content, lang = visit.app.content, visit.lang
    listed = [
        {
            "id": each.id,
            "name": each.name.of(lang),
            "purpose": visit.words["campaign_purpose_" + each.purpose],
            "whom": audiences.described(each.segment, visit),
            "text": each.message.text.of(lang).strip().partition("\n")[0],
        }
        for each in content.campaigns
    ]
    return visit.show("campaign_new", listed=listed)


async def start(visit: Visit) -> Response:
    """Keep a draft of a ready-made campaign, of an earlier one, or of none; then write it."""
    scope, by = visit.scope, visit.session.hr_id
    made = await _first(visit)
    spec = reach.narrowed(scope, made)
    try:
        id = await visit.write(lambda conn, now: campaigns.draft(conn, spec, by, now))
    except Refused as refused:
        return visit.go("campaigns", sentence(refused.problems, visit))
    fresh = "" if visit.said("template") or visit.said("copy") else "?new=1"
    return visit.go(f"campaigns/{id}/edit{fresh}")


async def _first(visit: Visit) -> Campaign:
    if copied := visit.said("copy"):
        spec = journal.spec_of(await _seen(visit, copied))
        return spec.model_copy(update={"schedule": None})
    if wanted := visit.said("template"):
        try:
            return desk.ready_made(visit.app.content, wanted)
        except Refused:
            raise BadRequest(404, "not_found") from None
    names = {lang: words(lang)["campaign_unnamed"] for lang in ("th", "en")}
    empty = {"text": {}, "label": {}, "action": "go"}
    return desk.read({"id": "own", "name": names, "purpose": "encouragement", "message": empty})


# --- the form ------------------------------------------------------------------------------


async def edit(visit: Visit) -> Response:
    row, spec = await draft_of(visit)
    if row.status not in DRAFTS:
        return visit.go(f"campaigns/{row.id}", visit.words["campaign_not_editable"])
    seen = await _glance(visit, spec)
    fresh = bool(visit.asked("new"))
    faults = {} if fresh else faults_of(seen.problems, visit)
    values, version = campaign_forms.filled(spec), campaigns.version_of(row)
    return await _form(visit, row, values, faults, version, spec, seen)


async def save(visit: Visit) -> Response:
    """Keep what was typed, or show what it comes to without keeping it."""
    row, base = await draft_of(visit)
    do, found = visit.said("do"), _read(visit, base)
    if found.spec is None:
        return await _again(visit, row, found, found.faults)
    if do == "fill":
        return await _fill(visit, row, found)
    if do == "look":
        return await _looked(visit, row, found)
    spec, id, by, version = found.spec, row.id, visit.session.hr_id, visit.said("version")
    try:
        await visit.write(lambda conn, now: campaigns.edit(conn, id, spec, version, by, now))
    except Refused as refused:
        return await _not_kept(visit, row, found, refused.problems)
    if do == "check":
        return await check(visit)
    return visit.go(f"campaigns/{id}/edit", visit.words["campaign_saved"])


async def check(visit: Visit) -> Response:
    """The dry run, kept if nothing is wrong; the campaign's own page shows it."""
    row, _ = await draft_of(visit)
    try:
        args = {"id": row.id, "by": visit.session.hr_id}
        run = await desk.carry_out(visit.app, "check", args)
    except Refused as refused:
        return visit.go(f"campaigns/{row.id}", sentence(refused.problems, visit))
    word = "campaign_check_faults" if run["problems"] else "campaign_check_fine"
    return visit.go(f"campaigns/{row.id}", visit.words[word])


async def glance(visit: Visit) -> Response:
    """A piece of the page: what is typed now comes to this."""
    _, base = await draft_of(visit)
    found = _read(visit, base)
    if found.spec is None:
        return visit.show("campaign_glance", **_unread(found.faults, visit))
    seen = await _glance(visit, found.spec)
    return visit.show("campaign_glance", **_shown(found.spec, seen, visit))


def _read(visit: Visit, base: Campaign) -> Typed:
    return campaign_forms.read(visit.form, base, visit.words, visit.app.content)


async def _glance(visit: Visit, spec: Campaign) -> audience.Glance:
    now, scope, content = visit.app.clock(), visit.scope, visit.app.content
    return await visit.read(lambda conn: audience.glance(conn, spec, scope, now, content))


def _shown(spec: Campaign, seen: audience.Glance, visit: Visit) -> dict[str, Any]:
    problems = [
        {"field": campaign_forms.field_of(each.loc), "text": _told(each, visit)}
        for each in seen.problems
    ]
    return {
        "glance": audiences.counted(seen, visit),
        "problems": problems,
        "previews": previews(spec, visit.app.content),
    }


def _unread(faults: dict[str, str], visit: Visit) -> dict[str, Any]:
    """Fields without a meaning: nothing can be counted of them."""
    problems = [{"field": name, "text": _named(name, text, visit)} for name, text in faults.items()]
    return {"glance": None, "problems": problems, "previews": []}


def _told(problem: Problem, visit: Visit) -> str:
    text = problem.text(visit.lang, visit.app.content)
    return _named(campaign_forms.field_of(problem.loc), text, visit)


def _named(field: str, text: str, visit: Visit) -> str:
    called = visit.words.get("campaign_field_" + field, "")
    return f"{called}: {text}" if called else text


# --- other answers to the form -------------------------------------------------------------


async def _again(visit: Visit, row: Any, found: Typed, faults: dict[str, str]) -> Response:
    """The form as it was typed, and nothing kept."""
    more = _unread(faults, visit)
    return await _form(visit, row, found.values, faults, visit.said("version"), None, more, 422)


async def _looked(visit: Visit, row: Any, found: Typed) -> Response:
    assert found.spec is not None
    seen = await _glance(visit, found.spec)
    faults, version = faults_of(seen.problems, visit), visit.said("version")
    return await _form(visit, row, found.values, faults, version, found.spec, seen)


async def _fill(visit: Visit, row: Any, found: Typed) -> Response:
    """Take the filters of a named segment into the form; they are kept with the rest."""
    scope, wanted = visit.scope, visit.said("named")
    try:
        kept = await visit.read(lambda conn: named.find(conn, scope, number(wanted) or 0))
    except Refused as refused:
        return await _again(visit, row, found, {"named": sentence(refused.problems, visit)})
    assert found.spec is not None
    filled = found.spec.model_copy(update={"segment": named.segment_of(kept)})
    spec = reach.narrowed(scope, filled)
    values = found.values | campaign_forms.filled_segment(spec.segment)
    return await _looked(visit, row, Typed(values, {}, spec, spec.segment))


async def _not_kept(
    visit: Visit, row: Any, found: Typed, problems: tuple[Problem, ...]
) -> Response:
    """Somebody was quicker, or it goes beyond the officer's units: all that was typed stays."""
    if problems[0].key != "stale":
        faults = faults_of(problems, visit)
        if problems[0].loc[0] == "campaign":
            return visit.go(f"campaigns/{row.id}", sentence(problems, visit))
        return await _again(visit, row, found, faults)
    assert found.spec is not None
    seen, newest = await _glance(visit, found.spec), campaigns.version_of(row)
    told = visit.words["changed_meanwhile"]
    return await _form(visit, row, found.values, {}, newest, found.spec, seen, 422, told)


async def _form(
    visit: Visit,
    row: Any,
    values: Values,
    faults: dict[str, str],
    version: str,
    spec: Campaign | None,
    seen: Any,
    status: int = 200,
    notice: str = "",
) -> Response:
    offered = await visit.read(
        lambda conn: audiences.options(conn, visit, list(values.get("units", ())))
    )
    content, words = visit.app.content, visit.words
    waves = list(zip(values.get("share", ()), values.get("minutes", ()), strict=False))
    waves += [("", "")] * max(1, WAVES - len(waves))
    shown = _shown(spec, seen, visit) if spec is not None else seen
    return visit.show(
        "campaign_edit",
        status,
        id=row.id,
        called=row.name,
        values=values | {"version": version},
        faults=faults,
        notice=notice,
        options=offered,
        purposes=[(each, words["campaign_purpose_" + each]) for each in PURPOSES],
        actions=[(each, _action(each, visit)) for each in campaign_forms.actions(content)],
        waves=waves,
        **shown,
    )


def _action(id: str, visit: Visit) -> str:
    what, _, area = id.partition(".")
    called = visit.app.content.area(area).name.of(visit.lang) if area else ""
    return visit.words["campaign_action_" + what].format(area=called)


# --- what other pages of campaigns need, too -----------------------------------------------


async def draft_of(visit: Visit) -> tuple[Any, Campaign]:
    """The campaign that the address names."""
    row = await _seen(visit, visit.request.path_params["id"])
    return row, journal.spec_of(row)


async def _seen(visit: Visit, said: str) -> Any:
    id, scope = number(said) or 0, visit.scope
    try:
        return await visit.read(lambda conn: campaigns.seen(conn, scope, id))
    except Refused:
        raise BadRequest(404, "not_found") from None


def faults_of(problems: tuple[Problem, ...], visit: Visit) -> dict[str, str]:
    return campaign_forms.told(problems, visit.words, visit.app.content)


def sentence(problems: tuple[Problem, ...], visit: Visit) -> str:
    """What was refused, as one sentence after the other."""
    return " ".join(each.text(visit.lang, visit.app.content) for each in problems)


PAGES = (
    Page("/campaigns/new", choose, NEEDS, place="campaigns"),
    Page("/campaigns/new", start, ("send",), "POST", place="campaigns"),
    Page("/campaigns/{id:str}/edit", edit, ("send",), place="campaigns"),
    Page("/campaigns/{id:str}/edit", save, ("send",), "POST", place="campaigns"),
    Page("/campaigns/{id:str}/glance", glance, ("send",), "POST", place="campaigns"),
    Page("/campaigns/{id:str}/check", check, ("send",), "POST", place="campaigns"),
)
