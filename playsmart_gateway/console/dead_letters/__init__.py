"""``/dead-letters``: what was taken and could not be stored, and the command that stores it.

The page shows and changes nothing. To store a letter is to write it, pay it and count it in one
transaction, which ``playsmart-gateway dead-letters replay`` does beside a gateway that runs; the
page has that command for what one looks at. Begin with ``routes``.
"""
