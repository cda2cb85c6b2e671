"""The ticker and what watches it: it may fail, but neither stop nor block unnoticed."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import delete, select

from bot.watchdog import STUCK, Watchdog
from content.schema import Content
from storage import roster
from storage.database import Database
from storage.models import heartbeats, profiles
from tests.running import ROOT, edge, eventually, ready


def test_a_process_leaves_a_sign_of_life_of_its_own(url: str, content: Content) -> None:
    with edge(url, content) as door:
        assert door.client.get("/readyz").status_code == 200
        (found,) = door.rows(select(heartbeats.c.name))

    assert found.name.count(":") == 1


def test_learners_of_an_earlier_version_get_their_profiles(url: str, content: Content) -> None:
    db = Database(url)
    with db.write() as conn:
        for number in range(3):
            roster.create(conn, "line", f"U{number}", datetime.now(UTC))
        conn.execute(delete(profiles))
    db.close()
    with edge(url, content) as door:
        eventually(lambda: len(door.rows(select(profiles.c.learner_id))) == 3)


# --- the watchdog ------------------------------------------------------------------------


def test_it_bites_only_after_so_many_looks_without_a_sign() -> None:
    beats = iter([1, 2, 3, 3, 3, 4, 4, 4, 4])
    dog = Watchdog({"ticks": lambda: next(beats), "idle": lambda: None}, patience=3)

    assert [dog.look() for _ in range(9)] == [[]] * 8 + [["ticks"]]


def test_a_machine_that_slept_is_not_dead() -> None:
    """SIGSTOP, a laptop's lid: it counts looks, and slept itself."""
    beats = iter(range(100))
    dog = Watchdog({"ticks": lambda: next(beats)}, patience=2)

    assert [dog.look() for _ in range(10)] == [[]] * 10


SERVICE = """
import asyncio, sys, threading, time
from bot.app import App
from bot.config import Settings
from bot.service import logs
from bot.watchdog import Watchdog
from content.load import load
logs()
async def main(how):
    app = App(Settings(_env_file=None), load())
    async with app.running():
        Watchdog(app.signs(), every=0.25, patience=8).start()
        await asyncio.sleep(2)
        print("well", flush=True)
        if how == "loop":
            time.sleep(60)
        elif how == "writer":
            await app.dispatcher.run(lambda conn, now: time.sleep(60))
        elif how == "ticks":
            async def hang():
                await asyncio.sleep(60)
            app.scheduler.tick = hang
            app.sender.sweep = hang
        elif how == "sender":
            app.sender._loops[0].cancel()
        elif how == "feeding":
            app.dispatcher._feeding.cancel()
        await asyncio.sleep(60)
asyncio.run(main(sys.argv[1]))
"""


def start(how: str, folder: Path) -> "subprocess.Popen[str]":
    folder.mkdir()
    env = {"KAONA_DATABASE_URL": ready(folder), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", SERVICE, how],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_process_in_which_something_has_died_or_is_blocked_ends(tmp_path: Path) -> None:
    """X22: whatever it is, the process ends with a word in its log, and is started anew."""
    ways = ("loop", "writer", "ticks", "sender", "feeding")
    processes = {how: start(how, tmp_path / how) for how in ways}
    for how, process in processes.items():
        told, log = process.communicate(timeout=40)
        assert "well" in told, log[-800:]
        assert process.returncode == STUCK, (how, log[-800:])
        assert "nothing moves any more" in log
