"""``make bench``: how many events a second the gateway answers with 202 *and* has in the database.

A figure of a noisy machine says little, so every round measures, one after another and for each
number of events a request:

- ``bare``: a Starlette route under the gateway's own uvicorn set-up that reads the body and answers
  202. No gateway on this stack can answer more requests than that.
- ``gateway``: the gateway, as ``serve`` runs it.
- SQLite alone: the same rows through the gateway's own ``SqliteSink``, 20,000 events a transaction,
  in a process that does nothing else. No gateway over this sink can store more events than that.
- ``obvious``: what everyone writes first (``obvious.py``): rows as objects, ``executemany`` in a
  thread.

What counts are the ratios within a round, and of those the median. The durable rate is the number
of events answered with 202 and counted in the database afterwards, divided by the time from the
start of the load to the commit after which the store has them all: the moment the load ends, the
process gets SIGTERM and drains. ``left`` is what was not stored yet at that moment, ``loaded/s``
what was stored until then. Latencies are those of all answers, refusals (503) included.

The parts: ``options`` what to measure, ``requests`` what is sent, ``generators`` who sends it,
``target`` and ``processes`` what it is sent to, ``ceiling`` SQLite alone, ``measure`` one
measurement, ``memory`` a full buffer, ``plan`` all of them in turn, ``results`` medians, ratios and
floors, ``table`` and ``plot`` how they look.
"""
