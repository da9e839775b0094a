"""The PostgreSQL store: ``sink`` writes it, ``reader`` reads it, ``schema`` says what is in it."""

from playsmart_gateway.sinks.postgres.sink import PostgresSink

__all__ = ["PostgresSink"]
