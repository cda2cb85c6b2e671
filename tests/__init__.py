"""Everything that is proved about this project."""
