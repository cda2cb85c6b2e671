"""Counters and clocks for `/metrics`. They count; they never name anybody."""

from prometheus_client import Counter, Gauge, Histogram

RECEIVED = Counter("kaona_events_received_total", "Events that were accepted", ["channel"])
DUPLICATES = Counter("kaona_events_duplicate_total", "Events that had been seen before")
PARKED = Counter("kaona_events_parked_total", "Events whose turn failed")
FORGED = Counter("kaona_webhooks_refused_total", "Webhook calls that were refused", ["channel"])
SPOOLED = Counter("kaona_webhooks_spooled_total", "Bodies kept on disk while the database is down")
ACK = Histogram(
    "kaona_webhook_seconds",
    "Time until a webhook was answered",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 1.5, 2.0),
)
SENDS = Counter("kaona_sends_total", "Attempts to send, by how they ended", ["channel", "status"])
HALTED = Gauge("kaona_channel_halted", "1 while a platform refuses our credentials", ["channel"])
TICK = Gauge("kaona_tick_timestamp_seconds", "When the scheduler last ticked")
THROTTLED = Counter(
    "kaona_throttled_seconds_total", "Seconds that a platform wanted to hear nothing", ["channel"]
)
OLDEST = Gauge(
    "kaona_queued_oldest_seconds", "How long the oldest row that is due has waited", ["lane"]
)
HELD = Gauge("kaona_held_rows", "Rows that wait for a free reply to ride on")
LEASE = Gauge("kaona_lease_held", "1 while this process may send on the channel", ["channel"])
QUOTA_LEFT = Gauge("kaona_quota_left", "LINE messages left this month, by our count; -1: no limit")
QUOTA_DIFFERENCE = Gauge("kaona_quota_difference", "Our count of LINE messages less the platform's")
