"""A self-hosted gateway for mobile game events: authenticated batches in, exactly-once rows out.

The path of an event
--------------------
A game sends ``POST /ingest/events``. ``server`` (uvicorn with our limits) reads it, ``middleware``
gives it a request id and a clock, and Starlette hands it to its dialect.

**The dialect** (``dialects.playsmart``) reads the body, finds the token and has ``auth`` verify it,
asks the intake for room, and only then decodes: once, in C, into typed events, which it encodes at
once into canonical rows. From here on there is no object per event, only a ``Batch``: a small
header and one ``bytes``. A refusal is a ``Refused`` from ``errors``, rendered by the dialect.

**The intake** is the one door. It lets requests wait for room, oldest first, and commits the
batches of one turn of the event loop together: one write to the **journal**, then into the
**buffer** in the same order. Only then is the client answered 202.

**The flusher** looks at the head of the buffer when it is old or large enough and gives it to the
**sink**, which stores all of it in one transaction or none of it. Only what was stored leaves the
buffer and, a segment at a time, the journal. So a failed flush is a non-event, and a crash is a
replay: the sink knows every batch by its journal and sequence and stores it once.

**The store** also keeps what events earn, in the transaction that stores them: ``rewards`` has the
rules of coins, ``auditor`` checks them beside ingest, and ``follower`` keeps the sums that the
``dashboard`` shows. The other dialects go the same way: ``dialects.teak`` takes analytics events
and ``sessions`` of players whom the ``roster`` knows, and ``dialects.players`` reads back.

**The lane** is for requests whose answer tells what they earned: ``dialects.lynes`` submits its
batch there, past journal and ring, and the flusher has the sink commit what waits, at once, by
turns with the ring. The rules of points and streaks are in ``loyalty``.

**Between machines** the sink may be a stream (``sinks.jetstream``): a gateway publishes what it
flushes, and a ``worker`` takes it from there, by way of the same ring, flusher and sinks.

Two things flow back: "stored up to here", and room. ``stats`` counts what enters and what leaves,
and the law ties it together: received = stored + duplicate + rejected + buffered. ``gateway`` is
where the parts meet, ``app`` the application made of them; ``ops`` reports on them, ``openapi`` and
``docs`` explain them; ``cli`` starts it all. While somebody watches, the ``inspector`` is told of
each request, and what became of its batch.

With ``--workers`` all of this is there several times, on one store: see ``supervisor`` for how they
live and ``siblings`` for what they share.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
