"""Worlds in which a router decides and sees what came of it."""
