"""Errors at the edges: what a webhook refuses, and what a platform did not do for us."""


class BadRequest(Exception):
    """A request that cannot come from the platform: answered with `status` and not kept."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class SendError(Exception):
    """A platform did not do what was asked of it, outside the outbox: menus, webhooks, polling.

    `permanent` tells that asking again will not help until somebody changes something.
    """

    def __init__(self, outcome: str, permanent: bool) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.permanent = permanent
