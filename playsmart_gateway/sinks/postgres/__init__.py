"""The PostgreSQL store: ``sink`` writes it, ``reader`` reads it, ``schema`` says what is in it."""
