"""The wire: the only rooms that know the shapes of requests and replies, one folder a dialect.

``ALL`` has a descriptor of each (see ``descriptor``), in the order of their chapters; no other
place lists them. A dialect decodes and answers; what it accepts it hands to the intake or the
commit queue, and it never touches a store's tables. Begin with ``descriptor``, then one
``endpoint``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from playsmart_gateway import config
from playsmart_gateway.dialects.descriptor import Dialect
from playsmart_gateway.dialects.lynes.descriptor import LYNES
from playsmart_gateway.dialects.playsmart.descriptor import PLAYSMART
from playsmart_gateway.dialects.teak.descriptor import TEAK

ALL: tuple[Dialect, ...] = (PLAYSMART, TEAK, LYNES)


def load_config(
    path: Path | None, environment: Mapping[str, str], dialects: Sequence[Dialect] = ALL
) -> config.Config:
    """Return the configuration with the tables of ``dialects``; see ``config.load_config``."""
    sections = [each.section for each in dialects if each.section is not None]
    sections.sort(key=lambda section: section.table)
    return config.load_config(path, environment, sections)
