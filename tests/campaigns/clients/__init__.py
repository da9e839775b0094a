"""Every client of ours held to all that is asked of one, in a table as the manual has it.

It plays the cases of ``playsmart_gateway.clients.conformance`` with each, and lives of its phones
(``tests.campaigns.phones``) with this gateway and with one from before there were runs. The short
forms are in ``tests/clients`` and ``tests/campaigns/phones``.

    python -m tests.campaigns.clients --client python --lives 300
"""
