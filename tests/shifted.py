"""`kaona` on a clock that is so many seconds ahead: unasked messages leave only in office hours,
and tests run at any time.

    python -m tests.shifted SECONDS serve
"""

import sys
from datetime import timedelta
from functools import partial

from bot import service
from bot.app import App, utc_now
from bot.cli import main

if __name__ == "__main__":
    ahead = timedelta(seconds=float(sys.argv.pop(1)))
    service.App = partial(App, clock=lambda: utc_now() + ahead)  # type: ignore[misc,assignment]
    main()
