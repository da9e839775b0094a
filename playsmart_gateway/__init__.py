"""A self-hosted gateway for mobile game events: authenticated batches in, exactly-once rows out.

The path of an event
--------------------
A game sends ``POST /ingest/events``. ``serve`` (uvicorn with our limits) reads it,
``http.request_frame`` gives it a request id and a clock, and hands it to its dialect.

**The dialect** (``dialects.playsmart``, in the frame of ``http.endpoint`` that is the same for all)
finds the token and has ``auth`` verify it, reads the body, asks the intake for room, and only then
decodes: once, in C, into typed events, which it encodes at once into canonical rows (``events``).
From here on there is no object per event, only a ``Batch``: a small header and one ``bytes``. A
refusal is a ``Refused`` from ``errors``, rendered by the dialect.

**The pipeline.** ``pipeline.intake`` is the one door. It lets requests wait for room, oldest first,
and commits the batches of one turn of the event loop together: one write to the **journal**, then
into the **buffer** in the same order. Only then is the client answered 202.

**The flusher** looks at the head of the buffer when it is old or large enough and gives it to the
store, which keeps all of it in one transaction or none of it. Only what was stored leaves the
buffer and, a segment at a time, the journal. So a failed flush is a non-event, and a crash is a
replay: the store knows every batch by its journal and sequence and stores it once.

**The store** (``stores``) also keeps what events earn, in the transaction that stores them.
``economy.coins`` has the rules of coins and ``economy.points`` those of points and streaks;
``stores.background`` checks the coins beside ingest, and keeps the sums that the
dashboard shows. The other dialects go the same way: ``dialects.teak`` takes analytics events and
sessions of players whom it knows, and ``dialects.playsmart.players`` reads back.

**The commit queue** is for requests whose answer tells what they earned: ``dialects.lynes`` submits
its batch there, past journal and buffer, and the flusher has the store commit what waits, at once,
by turns with the buffer.

**Between machines** what takes batches may be a stream (``stream``): a gateway publishes what it
flushes, and a worker takes it from there, by way of the same buffer, flusher and stores.

Two things flow back: "stored up to here", and room. ``metrics`` counts what enters and what leaves,
and the law ties it together: received = stored + duplicate + rejected + buffered.

The house
---------
``config`` says what there is to be, ``build`` makes the parts, ``gateway`` is one gateway from
start to drain, ``app`` the application made of it, ``serve`` its processes and sockets, ``cli``
starts it all. ``console`` shows to operators what goes on, ``openapi`` explains the API, ``load``
plays players against a running gateway. With several processes all of this is there several times,
on one store: ``peers`` is what they share. Each package says what it owns and where to begin;
imports point one way, as ``pyproject.toml`` says.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
