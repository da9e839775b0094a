"""What people ask of games, answered: reports by day, week or month, funnels, who comes back.

It owns what may be asked, what the answers are, and how they are counted: a report from the sums
where they have it (days of UTC, by receipt, nobody filtered out), and else event by event, in a
bounded time; then the answer says up to when it counted. It reads a store, and the lake of it
if it is handed one (``sources``), never writes to one, knows no HTTP, and is run in a process of
its own (``process``), so that neither its memory nor its death, and none of its Python, touches
ingest. Start reading at ``process.answer``.
"""
