"""The deterministic simulation: one seed is one history of crashes, and it replays to the letter.

The real intake, journal, buffer, flusher and lifecycle run on an event loop with a simulated clock
(``loop``), over a disk that knows what a kill and what a power cut keep (``medium``, ``disk``) and
a store with its own memory (``store``). Clients send numbered batches and note what they were told
(``client``, ``ledger``); half of them number their events, and send again, out of order and cut
anew (``numbering``). ``scenario`` strings several lives together, ``check`` compares what was
promised with what is in the store, and ``mutants`` proves that it would notice.

    python -m tests.campaigns.simulation --seeds 5000
"""
