"""`python -m bot` is `kaona`."""

from bot.cli import main

main()
