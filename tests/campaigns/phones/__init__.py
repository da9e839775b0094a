"""Phones that die, a network that fails and a gateway that is killed; SQL is the judge.

A phone (``phone``) is a client of ours, for Python or another language, behind its adapter; it is
killed (-9) again and again, and the next life goes on with the files. A proxy (``proxy``) gives
each request one of ten fates. Meanwhile the gateway is killed and started again, and so is each
part of what is behind it (``scene``). ``lives`` plays all that, ``judge`` holds the tables against
what the phones kept, and ``mutants`` are broken phones and gateways, each of which has to fail.

    python -m tests.campaigns.phones --scene sqlite --lives 500 --events 300000
"""
