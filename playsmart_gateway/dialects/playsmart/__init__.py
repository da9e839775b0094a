"""The gateway's own API: ``POST /ingest/events``, and what players may read back."""
