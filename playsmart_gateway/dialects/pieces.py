"""What each dialect adds to the OpenAPI document, in the order of its chapters."""

from collections.abc import Sequence

from playsmart_gateway.dialects.lynes import openapi as lynes
from playsmart_gateway.dialects.playsmart import openapi as playsmart
from playsmart_gateway.dialects.playsmart import openapi_reads as players
from playsmart_gateway.dialects.teak import openapi as teak
from playsmart_gateway.openapi.parts import Piece

PIECES: Sequence[Piece] = (playsmart.PIECE, players.PIECE, teak.PIECE, lynes.PIECE)
