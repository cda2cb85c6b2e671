"""`make bench`: what the service does in a second, side by side with what it stands on."""
