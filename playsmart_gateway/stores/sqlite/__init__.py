"""The SQLite store: ``sink`` writes it, ``reader`` reads it, ``schema`` says what is in it."""

from playsmart_gateway.stores.sqlite.store import SqliteSink

__all__ = ["SqliteSink"]
