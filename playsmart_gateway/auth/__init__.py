"""Whose token is it: bearer JWTs, and the keys that they are checked with.

``tokens`` verifies on the path of every request, from the parts that ``compact`` takes apart, and
has ``token_cache`` remember what passed; ``keys`` holds secrets, public keys and JWKS, and fetches
those again in the background. Nothing here knows HTTP, and no text that leaves it quotes a token.
Begin with ``tokens``.
"""
