"""The SQLite store: ``sink`` writes it, ``reader`` reads it, ``schema`` says what is in it."""

from playsmart_gateway.sinks.sqlite.sink import SqliteSink

__all__ = ["SqliteSink"]
