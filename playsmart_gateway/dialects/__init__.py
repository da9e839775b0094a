"""The wire: the only rooms that know the shapes of requests and replies, one folder a dialect.

``ALL`` has a descriptor of each (see ``descriptor``), in the order of their chapters; no other
place lists them. A dialect decodes and answers; what it accepts it hands to the intake or the
commit queue, and it never touches a store's tables. Begin with ``descriptor``, then one
``endpoint``.
"""

from playsmart_gateway.dialects.descriptor import Dialect
from playsmart_gateway.dialects.lynes.descriptor import LYNES
from playsmart_gateway.dialects.playsmart.descriptor import PLAYSMART
from playsmart_gateway.dialects.teak.descriptor import TEAK

ALL: tuple[Dialect, ...] = (PLAYSMART, TEAK, LYNES)
