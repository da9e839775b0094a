"""What events are like, learned from those that are stored: the catalogue.

It owns what was learned of each game and event name (``facts``), which values may be shown
(``discretion``), and what is odd (``drift``). ``follower`` reads what was stored, a bounded look at
a time, and keeps what it learned beside it; ``telling`` says it to people and machines.

It never demands anything of a client, never keeps anything of a player, and knows no HTTP and no
SQL. Start reading at ``facts``.
"""
