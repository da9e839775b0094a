"""Where a player is: addresses to countries, and the names of countries and time zones.

All data comes with the packages, so nothing is fetched and every machine gives the same answers.
"""

from ipaddress import AddressValueError, IPv6Address

from iso3166 import countries_by_alpha2

from playsmart_gateway.http.static import package_folder

MAX_ADDRESS_LENGTH = 64
"""Characters of an address; the longest, IPv6 with an IPv4 tail and a zone, has about that."""

COUNTRIES = frozenset(countries_by_alpha2)
TIME_ZONES = frozenset(
    (package_folder("tzdata") / "zones").read_text("ascii").split()
)  # not zoneinfo.available_timezones(), which adds whatever the system has


def country_of(address: str) -> str:
    """Return the ISO 3166-1 alpha-2 code of the country that holds an IPv4 or IPv6 address.

    Empty when that is unknown: the text is no address, or it is private, loopback or unassigned.
    """
    if len(address) > MAX_ADDRESS_LENGTH or not address.isascii():
        return ""
    from iptocc import country_code  # most gateways never ask

    country = country_code(address)
    if country is None and ":" in address:
        country = country_code(_without_wrapping(address))
    # Registries also hand out addresses to "EU", which is no country.
    return country if country in COUNTRIES else ""


def is_country_code(text: str) -> bool:
    """Whether ``text`` is an ISO 3166-1 alpha-2 code, in either case."""
    return len(text) == 2 and text.isascii() and text.upper() in COUNTRIES


def is_timezone(text: str) -> bool:
    """Whether ``text`` is a name of the IANA time zone database, to the letter."""
    return text in TIME_ZONES


def _without_wrapping(address: str) -> str:
    """Return an IPv6 address without its zone, or the IPv4 address that it maps."""
    try:
        wrapped = IPv6Address(address)
    except AddressValueError:
        return ""
    return str(wrapped.ipv4_mapped or IPv6Address(int(wrapped)))
