"""Decks of slides for a room, made from the built notebooks, and copies of the notebooks to type in."""
