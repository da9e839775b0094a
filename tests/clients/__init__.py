"""Clients to drop into a game, each held against what a gateway may answer."""
