"""What each dialect adds to the OpenAPI document, in the order of its chapters."""

from collections.abc import Sequence

from playsmart_gateway.openapi import lynes, players, playsmart, teak
from playsmart_gateway.openapi.parts import Piece

PIECES: Sequence[Piece] = (playsmart.PIECE, players.PIECE, teak.PIECE, lynes.PIECE)
