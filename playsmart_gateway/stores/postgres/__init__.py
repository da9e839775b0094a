"""The PostgreSQL store: ``sink`` writes it, ``reader`` reads it, ``schema`` says what is in it."""

from playsmart_gateway.stores.postgres.store import PostgresSink

__all__ = ["PostgresSink"]
