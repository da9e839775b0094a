"""Addresses, countries and time zones, from the data in the packages alone."""

import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.dialects.teak.geo import (
    country_of,
    is_country_code,
    is_timezone,
)


@pytest.mark.parametrize(
    "address",
    [
        "", " ", "nowhere", "8.8.8", "8.8.8.8.8", "08.8.8.8", "256.1.1.1", " 8.8.8.8",
        "8.8.8.8:80", "8.8.8.8\0", "\0", "\ud800", "\uff18.8.8.8", "8" * 100_000, ":",
        "::" * 50_000, "[::1]", "::ffff:8.8.8", "8.8.8.8%eth0", "::1%" + "e" * 100_000,
        "127.0.0.1", "::1", "::", "0.1.2.3", "255.255.255.255", "10.0.0.1", "172.16.0.1",
        "192.168.0.1", "169.254.1.1", "100.64.0.1", "224.0.0.1", "203.0.113.42", "2001:db8::1",
        "fe80::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    ],
)  # fmt: skip
def test_what_is_no_public_address_has_no_country(address: str) -> None:
    assert country_of(address) == ""


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("8.8.8.8", "US"),
        ("193.0.6.139", "NL"),
        ("2001:4860:4860::8888", "US"),
        ("2001:4860:4860:0:0:0:0:8888", "US"),
        ("2001:4860:4860::8888%eth0", "US"),
        ("::ffff:193.0.6.139", "NL"),
        ("::FFFF:C100:068B", "NL"),
    ],
)
def test_a_public_address_has_the_country_of_its_registry(address: str, country: str) -> None:
    assert country_of(address) == country


def test_every_country_of_an_address_is_one_of_the_standard() -> None:
    """Registries assign whole blocks to "EU"; one first number in three is enough to meet one."""
    found = {country_of(f"{a}.{b}.1.1") for a in range(1, 224, 3) for b in range(256)}
    assert len(found) > 50
    assert all(is_country_code(country) for country in found - {""})


@given(st.text(max_size=80) | st.ip_addresses().map(str))
def test_any_text_gets_a_country_or_none(text: str) -> None:
    country = country_of(text)
    assert country == "" or is_country_code(country)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "U",
        "USA",
        "XX",
        "EU",
        "U ",
        " U",
        "U1",
        "12",
        "840",
        "\uff35\uff33",
        "\u017f\u0131",
        "U\0",
        "U" * 100_000,
    ],
)
def test_what_is_no_country_code_is_told(text: str) -> None:
    assert not is_country_code(text)


@pytest.mark.parametrize("text", ["US", "us", "Us", "DE", "gb", "AX"])
def test_a_country_code_may_be_written_in_either_case(text: str) -> None:
    assert is_country_code(text)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ".", "..", "/", "America", "America/", "Mars/Olympus_Mons", "UTC ", "UTC\0",
        "America/Los_Angeles\n", "america/los_angeles", "../zoneinfo/UTC", "America/../UTC", "\0",
        "/usr/share/zoneinfo/UTC", "posix/UTC", "right/UTC", "posixrules", "localtime", "tzdata.zi",
        "zone.tab", "__init__.py", "a" * 100_000, "PST", "GMT+01:00", "+01:00", "\ud800",
    ],
)  # fmt: skip
def test_what_is_no_time_zone_is_told(text: str) -> None:
    assert not is_timezone(text)


@pytest.mark.parametrize(
    "text",
    ["UTC", "America/Los_Angeles", "Europe/Berlin", "Etc/GMT+12", "Asia/Calcutta", "US/Pacific"],
)
def test_a_name_of_the_time_zone_database_is_known(text: str) -> None:
    assert is_timezone(text)
    assert zoneinfo.ZoneInfo(text)
