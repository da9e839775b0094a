"""What events earn: coins for completed levels, points and streaks for actions.

Rules and sums only, in whole numbers; the stores keep the books by them, in the transaction that
stores the events. Nothing here is asynchronous or knows a database. Begin with ``coins``, then
``points.program``.
"""
