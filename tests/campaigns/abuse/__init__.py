"""The abuse campaign: a real server, those who mean it ill, and one player who means it well.

Each attack is played by a process of its own, only against 127.0.0.1, only as long and as much as
its ``Scale`` says. ``python -m tests.campaigns.abuse`` plays all of them, the test a short form.
"""
