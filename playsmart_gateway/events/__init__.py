"""What a game sends, from the dialect to the row: batches, their rows and their bytes.

A ``Batch`` is a small header and its rows as one piece of JSON, so there is no object per event.
``batch`` says what is in it, ``row`` what an event is, ``codec`` how a batch looks in the journal
and on the stream, ``sessions`` what begins a session of play, ``intervals`` which numbers of a run
have come. Nothing here reads a request, asks a clock or writes to a store. Begin with ``batch``.
"""
