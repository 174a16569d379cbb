"""`python -m awaitsee`."""

from awaitsee.cli import main

main()
