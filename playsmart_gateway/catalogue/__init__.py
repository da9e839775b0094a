"""What events are like, learned from those that are stored: the catalogue.

It owns what was learned of each game and event name (``facts``), what is odd about it (``drift``),
and the definitions that operators make of it (``definitions``), by which a game can have its events
judged before they are stored (``judging``). ``follower`` reads what was stored, a bounded look at a
time, and keeps what it learned beside it.

It never demands anything of a client, never keeps anything of a player, and knows no HTTP and no
SQL. Start reading at ``facts``.
"""
