"""Where conversations come from and go to: each platform reads and writes, and decides nothing."""
