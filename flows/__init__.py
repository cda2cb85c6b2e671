"""What to say next: pure functions from (state, event, now, content) to a turn."""
