"""What HR asks of the roster, carried out by whoever holds the database; answers are plain JSON."""

import asyncio
import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog
from msgspec import Struct, field

from bot import sheets
from bot.roster_files import write_refused, write_template
from bot.roster_uploads import Upload, Uploads
from content.schema import RosterRules
from flows import chains
from flows.calendar import local
from flows.days import Unclear, read_day
from flows.roster import (
    HEADERS_WITHIN,
    Entry,
    Fault,
    Layout,
    Reader,
    Refusal,
    Sight,
    Watch,
    find_layout,
    header,
    say_fault,
    say_refusal,
    sight,
)
from storage import roster_apply, roster_grants, roster_plan
from storage.roster_plan import Options, Plan
from storage.scope import Scope

if TYPE_CHECKING:
    from bot.app import App

log = structlog.get_logger()
SHOWN = 50
"""Refused rows that an answer names; the file that comes back has all of them."""
TRIES = 3
"""How often a plan is made anew because the roster has changed meanwhile."""
LONGEST_NAME = 120
"""Letters of a file's name that are kept."""
BEAT = 0.5
"""Seconds between two notes of how far an import is."""


class Wanted(Struct, frozen=True):
    """How a file is to be taken over. Days are written as in a roster."""

    mapping: dict[str, str] = {}
    effective: str = ""
    dry_run: bool = False
    partial: bool = False
    confirm_leavers: bool = False
    by: str = ""
    """Who asks, by HR's id; else the operator."""
    plan: str = ""
    """The fingerprint of the plan that was seen; if it is another one now, nothing is done."""


class Job(Struct):
    """An import under way: how far it is, and what came of it."""

    stage: str = "reading"
    done: int = 0
    of: int = 0
    result: dict[str, Any] | None = None
    back: Path | None = None
    """The file with the reasons."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Found(Struct):
    """What a file says."""

    layout: Layout
    entries: list[Entry]
    faults: list[Fault]
    refused: dict[str, str]
    """Who is in a refused row, by HR's id: others may still name them."""
    hash: str


class RosterDesk:
    """One import at a time. What is refused is an answer, too: see `_refused`."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._folder = app.var / "roster"
        self.uploads = Uploads(self._folder)
        self._jobs: dict[str, Job] = {}

    @property
    def _rules(self) -> RosterRules:
        return self._app.content.roster

    async def ask(self, do: str, args: dict[str, Any]) -> Any:
        """One command by name."""
        commands: Mapping[str, Callable[..., Any]] = {
            "begin": self.begin,
            "watch": self.watch,
            "keep": self.keep,
            "grant": self.grant,
            "revoke": self.revoke,
        }
        return await commands[do](**args)

    # --- for the console -------------------------------------------------------------------

    async def take(self, data: bytes, wanted: Wanted) -> dict[str, Any]:
        """Take over a file that was uploaded; the answer as `_refused` and `_done` give it, and
        the bytes of the file with the reasons under `file`, if there is one."""
        path = self.uploads.path(await asyncio.to_thread(self.uploads.add, data))
        try:
            asked = await self.begin(str(path), **_plain(wanted))
            if "job" not in asked:
                return asked
            job = self._jobs[asked["job"]]
            await job.ended.wait()
            assert job.result is not None
            made = job.back.read_bytes() if job.back else None
            return {**job.result, "file": made}
        finally:
            path.unlink(missing_ok=True)

    async def receive(
        self, data: bytes, name: str, scope: Scope, by: str, after: Upload | None = None
    ) -> Upload:
        """Keep a file that was uploaded, and look at its headers. `after` is the one that it
        mends: what was said of that holds of this. Raises `Refusal` and `Unreadable`."""
        now = self._app.clock()
        await self._app.read(lambda conn: roster_grants.keeper(conn, by, now))
        assert scope.viewer is not None
        id = await asyncio.to_thread(self.uploads.add, data)
        try:
            seen = await asyncio.to_thread(self._sight, self.uploads.path(id))
        except BaseException:
            self.uploads.path(id).unlink(missing_ok=True)
            raise
        made = Upload(id, scope.viewer, name[:LONGEST_NAME], now, seen)
        if after is not None:
            there = {each.header for each in seen.columns}
            made.mapping = {key: value for key, value in after.mapping.items() if key in there}
            made.effective, made.partial = after.effective, after.partial
            await asyncio.to_thread(self.uploads.drop, after.id)
        await asyncio.to_thread(self.uploads.save, made)
        self._app.spawn(self.uploads.tidy_later())
        return made

    def _sight(self, path: Path) -> Sight:
        return sight(list(islice(sheets.read(path, sheets.Reading()), HEADERS_WITHIN)), self._rules)

    async def work_on(self, upload: Upload, wanted: Wanted) -> list[dict[str, str]]:
        """Begin to try an upload or to take it over; what stands in the way, if anything does.
        What comes of it is noted with the upload."""
        asked = await self.begin(str(self.uploads.path(upload.id)), **_plain(wanted))
        if "job" not in asked:
            return list(asked["problems"])
        if upload.back:  # nothing is left of an earlier try
            self.uploads.back(upload).unlink(missing_ok=True)
        upload.state, upload.back, upload.result = "running", "", None
        self._note(upload, job := self._jobs[asked["job"]])
        self._app.spawn(self._look_on(upload, job))
        return []

    async def _look_on(self, upload: Upload, job: Job) -> None:
        """Note how far it is until it is over; other processes read it there."""
        while job.result is None:
            try:
                async with asyncio.timeout(BEAT):
                    await job.ended.wait()
            except TimeoutError:
                await asyncio.to_thread(self._note, upload, job)
        upload.result = job.result
        if job.back is not None:
            job.back = job.back.replace(self.uploads.path(upload.id, "back"))
            upload.back = job.back.name
        upload.state = "done" if job.result["applied"] else "tried"
        await asyncio.to_thread(self._note, upload, job)
        if upload.state == "done":
            await asyncio.to_thread(self.uploads.forget, upload.id)

    def _note(self, upload: Upload, job: Job) -> None:
        upload.stage, upload.done, upload.of = job.stage, job.done, job.of
        upload.beat = time.time()
        self.uploads.save(upload)

    async def template(self) -> bytes:
        """The XLSX to start from."""
        self.uploads.tidy()
        path = self._folder / f"{uuid4()}.part"
        try:
            await asyncio.to_thread(write_template, self._rules, path)
            return await asyncio.to_thread(path.read_bytes)
        finally:
            path.unlink(missing_ok=True)

    # --- for the command line --------------------------------------------------------------

    async def begin(self, path: str, **options: Any) -> dict[str, Any]:
        """Begin to take over a file of this machine; how to ask for what comes of it."""
        if any(job.result is None for job in self._jobs.values()):
            return _refused([("busy", {})], self._rules)
        self.uploads.tidy()
        id, job = str(uuid4()), Job()
        self._jobs = {id: job}
        self._app.spawn(self._run(job, Path(path), Wanted(**options)))
        return {"job": id}

    async def watch(self, job: str, patience: float = 0.3) -> dict[str, Any]:
        """How far an import is; its result once it has one."""
        if job not in self._jobs:
            return _refused([("too_heavy", {})], self._rules)
        at = self._jobs[job]
        try:
            async with asyncio.timeout(patience):
                await at.ended.wait()
        except TimeoutError:
            pass
        return {"stage": at.stage, "done": at.done, "of": at.of, "result": at.result}

    async def keep(self, job: str, out: str) -> bool:
        """Copy the file with the reasons to where somebody of this machine wants it."""
        back = self._jobs[job].back if job in self._jobs else None
        if back is None:
            return False
        await asyncio.to_thread(shutil.copyfile, back, out)
        return True

    # --- the work --------------------------------------------------------------------------

    async def _run(self, job: Job, path: Path, wanted: Wanted) -> None:
        try:
            job.result = await self._import(job, path, wanted)
        except (Refusal, sheets.Unreadable) as refusal:
            job.result = _refused([(refusal.why, refusal.data)], self._rules)
        except OSError:
            job.result = _refused([("not_a_sheet", {})], self._rules)
        except Exception as error:
            log.error("import failed", error=type(error).__name__)
            job.result = _refused([("too_heavy", {})], self._rules)
        finally:
            job.ended.set()

    async def _import(self, job: Job, path: Path, wanted: Wanted) -> dict[str, Any]:
        now = self._app.clock()
        by = await self._app.read(lambda conn: roster_grants.keeper(conn, wanted.by, now))
        effective = self._day(wanted.effective) or local(now).toordinal()
        found = await asyncio.to_thread(self._read, job, path, wanted.mapping)
        options = Options(effective, wanted.partial, _says_heads(found.layout))
        for _ in range(TRIES):
            plan = await asyncio.to_thread(self._plan, job, found, options, now)
            if found.faults:
                return await asyncio.to_thread(self._give_back, job, path, found)
            if wanted.plan and plan.fingerprint != wanted.plan:
                return _done(plan, [("changed", {})], self._rules, applied=False)
            problems = _leavers(plan, wanted)
            if problems or wanted.dry_run:
                return _done(plan, problems, self._rules, applied=False)
            try:
                counts = await self._apply(job, plan, found.hash, by)
            except roster_apply.Stale:
                continue
            return _done(plan, [], self._rules, applied=True) | {"counts": counts}
        return _refused([("busy", {})], self._rules)

    def _day(self, text: str) -> int:
        try:
            return read_day(text, 1900, self._rules) if text else 0
        except Unclear:
            raise Refusal("effective") from None

    def _read(self, job: Job, path: Path, mapping: Mapping[str, str]) -> Found:
        """The rows of a file, each by itself."""
        rules, reading, watch = self._rules, sheets.Reading(), Watch()
        rows = sheets.read(path, reading)
        first = list(islice(rows, HEADERS_WITHIN))
        layout = find_layout(first, mapping, rules)
        zone = str(local(self._app.clock()).tzinfo)
        reader = Reader(layout, rules, reading.base, zone)
        sample = rules.columns[0].example
        entries: list[Entry] = []
        faults: list[Fault] = []
        refused: dict[str, str] = {}
        for number, cells in chain(first, rows):
            if number <= layout.row:
                continue
            watch.see(cells)
            got = reader.read(number, cells)
            if isinstance(got, Entry):
                if got.hr_id != sample:
                    entries.append(got)
            else:
                faults += got
                refused |= reader.who(cells)
            job.done = number
        watch.require_none(layout)
        if not entries and not faults:
            raise Refusal("no_rows")
        return Found(layout, entries, faults, refused, _hash(path))

    def _plan(self, job: Job, found: Found, options: Options, now: datetime) -> Plan:
        """What only shows when all rows are seen together, and beside those that are known."""
        job.stage, job.done, job.of = "comparing", 0, 0
        with self._app.db.read() as conn:
            entries, version = found.entries, roster_plan.version(conn)
            found.faults += chains.repeats(entries)
            found.faults += chains.place_heads(entries, roster_plan.unit_paths(conn))
            names, above = dict[str, str](), dict[str, str]()
            inside = {entry.hr_id for entry in entries}
            if options.partial:
                names, above = roster_plan.outsiders(conn, inside, now)
            names |= {hr_id: name for hr_id, name in found.refused.items() if hr_id not in inside}
            found.faults += chains.resolve(entries, names, above)
            if found.faults:
                return Plan(options, version)
            return roster_plan.plan(conn, entries, options, now)

    async def _apply(self, job: Job, plan: Plan, hash: str, by: int | None) -> dict[str, int]:
        job.stage, job.done, job.of = "writing", 0, len(plan.added)

        def told(done: int) -> None:
            job.done = done

        return await self._app.dispatcher.run(
            lambda conn, now: roster_apply.apply(conn, plan, hash, by, now, told)
        )

    def _give_back(self, job: Job, path: Path, found: Found) -> dict[str, Any]:
        """Nothing was changed: the rows that must be mended, and the file with the reasons."""
        rules = self._rules
        faults = sorted(found.faults, key=lambda fault: fault.row)
        rows = {fault.row for fault in faults}
        job.stage, job.done, job.of = "writing", 0, 0
        job.back = self._folder / f"{uuid4()}.back"
        write_refused(path, found.layout, faults, rules, job.back)
        return _refused([("rows", {"n": len(rows)})], rules) | {
            "refused_rows": len(rows),
            "faults": [
                {
                    "row": fault.row,
                    "column": header(fault.column, rules),
                    "why": fault.why,
                    **{lang: say_fault(fault, lang, rules) for lang in ("th", "en")},
                }
                for fault in faults[:SHOWN]
            ],
        }

    # --- rights ----------------------------------------------------------------------------

    async def grant(
        self, who: str, role: str, unit: str = "", from_: str = "", until: str = "", by: str = ""
    ) -> dict[str, Any]:
        """Give somebody a role by hand."""
        try:
            days = self._day(from_), self._day(until)
            wanted = roster_grants.Wanted(who, role, unit, *days, by)
            given = await self._app.dispatcher.run(
                lambda conn, now: roster_grants.give(conn, wanted, now)
            )
        except Refusal as refusal:
            return _refused([(refusal.why, refusal.data)], self._rules)
        return {"grant": given}

    async def revoke(self, who: str, role: str, unit: str = "", by: str = "") -> dict[str, Any]:
        """Take a role away."""
        wanted = roster_grants.Wanted(who, role, unit, by=by)
        try:
            ended = await self._app.dispatcher.run(
                lambda conn, now: roster_grants.take(conn, wanted, now)
            )
        except Refusal as refusal:
            return _refused([(refusal.why, refusal.data)], self._rules)
        return {"ended": ended}


def _plain(wanted: Wanted) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in Wanted.__struct_fields__}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _says_heads(layout: Layout) -> bool:
    return "head_of" in layout.columns or "acting_unit" in layout.columns


def _leavers(plan: Plan, wanted: Wanted) -> list[tuple[str, dict[str, Any]]]:
    """Many who leave are more often a file that is not whole."""
    if not plan.many_leave or wanted.confirm_leavers:
        return []
    share = round(100 * roster_plan.SHARE)
    return [("leavers", {"n": plan.counts["left"], "of": plan.before, "most": share})]


def _problem(why: str, data: Mapping[str, Any], rules: RosterRules) -> dict[str, str]:
    said = {lang: say_refusal(why, data, lang, rules) for lang in ("th", "en")}
    return {"why": why, **said}


def _refused(problems: list[tuple[str, Any]], rules: RosterRules) -> dict[str, Any]:
    """`problems` stand in the way, each with its sentence in both languages."""
    said = [_problem(why, data, rules) for why, data in problems]
    return {"applied": False, "problems": said, "counts": {}, "refused_rows": 0, "faults": []}


def _done(
    plan: Plan, problems: list[tuple[str, Any]], rules: RosterRules, *, applied: bool
) -> dict[str, Any]:
    """`counts` is what is changed, or would be; `plan` is how to agree to exactly that."""
    told = {"applied": applied, "counts": plan.counts, "plan": plan.fingerprint}
    return _refused(problems, rules) | told
