"""What a game sends, from the dialect to the row: batches, their rows and their bytes.

A ``Batch`` is a small header and its rows as one piece of JSON, so there is no object per event.
``batch`` says what is in it, ``codec`` how it looks in the journal and on the stream, ``sessions``
what ends a session of play. Nothing here reads a request, asks a clock or writes to a store. Begin
with ``batch``.
"""
