"""What templates say, and what they are kept from doing."""

import io
import json
import signal
import subprocess
import sys
import time
import tomllib
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from playsmart_gateway.dialects.teak.deep_links import MAX_LINK_LENGTH, Property
from playsmart_gateway.dialects.teak.renderer import encoded
from playsmart_gateway.dialects.teak.templates import (
    MAX_FILTERS,
    MAX_LIST_LENGTH,
    MAX_MARKUP,
    MAX_TEXT_LENGTH,
    MAX_WORK,
    is_template,
    render,
    serve,
)
from tests.support.examples import examples

PROPERTIES: dict[str, Property] = {
    "player_level": "elite",
    "coins": Decimal(300_144),
    "tiny": Decimal("1E-9"),
    "widest": Decimal("-999999999999999999999999999.999999999"),
    "price": Decimal("1.10"),
    "round": Decimal("1.00"),
    "exponent": Decimal("1E+5"),
    "lives": 5,
    "name": "Ada & Söhne",
    "long": "x" * MAX_TEXT_LENGTH,
    "wide": "\U0001f600" * MAX_TEXT_LENGTH,
}


@pytest.mark.parametrize(
    ("template", "link"),
    [
        ("teak12345:///reward?level={{player_level}}", "teak12345:///reward?level=elite"),
        ("{{ coins }} {{ lives }} {{ tiny }}", "300144 5 0.000000001"),
        ("{{ widest }} {{ price }}", "-999999999999999999999999999.999999999 1.10"),
        ("{{ exponent }} {{ round }}", "100000 1"),
        ("{{ name }}", "Ada & Söhne"),
        ("{{ name | url_encode }}", "Ada+%26+S%C3%B6hne"),
        ("a{{ unset }}b{{ un.set[0] }}c{{ now }}{{ today }}{{ size }}", "abc"),
        ("{{ unset | url_encode }}{{ unset | number_to_human }}{{ unset | unfancy }}", ""),
        ("{{ unset | default: 'x' }}{{ lives | default: 'x' }}", "x5"),
        ("{{ coins | unfancy }} {{ '1,300,144.50' | unfancy }}", "300144 1300144.50"),
        ("{{ 'a, b' | unfancy }} {{ '1,2' | unfancy }}", "a, b 1,2"),
        ("{{ coins | plus: 1 }} {{ price | times: 2 }} {{ 7 | divided_by: 2 }}", "300145 2.2 3"),
        ("{% if coins > 100 %}rich{% else %}poor{% endif %}", "rich"),
        ("{% case lives %}{% when 5 %}five{% endcase %}", "five"),
        ("{% assign x = name | split: ' ' | first %}{{ x }}", "Ada"),
        ("{{ name | slice: -5, 3 }}{{ name | slice: 0 }}{{ name | slice: -50 }}", "SöhA"),
        ("{{ name | replace: ' ', '_' }}", "Ada_&_Söhne"),
        ("{% raw %}{{ coins }}{% endraw %}", "{{ coins }}"),
        ("no template at all", "no template at all"),
    ],
)
def test_properties_are_filled_in(template: str, link: str) -> None:
    assert render(template, PROPERTIES) == link


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("0", "0"), ("5", "5"), ("-5", "-5"), ("0.5", "0.5"), ("123", "123"), ("999", "999"),
        ("1234", "1.23 Thousand"), ("999.9", "1 Thousand"), ("1000", "1 Thousand"),
        ("12345", "12.3 Thousand"), ("489939", "490 Thousand"), ("999999", "1 Million"),
        ("-1234567", "-1.23 Million"), ("1,234,567", "1.23 Million"),
        ("1234567890", "1.23 Billion"), ("1234567890123", "1.23 Trillion"),
        ("1234567890123456", "1.23 Quadrillion"), ("1234567890123456789", "1230 Quadrillion"),
        ("many", "many"), ("NaN", "NaN"), ("Infinity", "Infinity"), ("", ""),
    ],
)  # fmt: skip
def test_numbers_in_words(number: str, words: str) -> None:
    assert render("{{ n | number_to_human }}", {"n": number}) == words


def test_numbers_in_words_may_have_more_and_fewer_digits() -> None:
    template = "{{ n | number_to_human: 1 }}, {{ n | number_to_human: 5 }}"
    assert render(template, {"n": Decimal(489_939)}) == "500 Thousand, 489.94 Thousand"
    assert render("{{ n | number_to_human: 0 }}", {"n": 1_234}) == "1 Thousand"
    assert render("{{ n | number_to_human: 999999999 }}", {"n": 1_234}) == "1.234 Thousand"


@pytest.mark.parametrize(
    "template",
    [
        "{{", "{{ }", "{{ a | }}", "{{ a | nothing }}", "{% if %}", "{% if a %}", "{% endif %}",
        "{%", "{% nothing %}", "{{ coins | divided_by: 0 }}", "{{ name | slice: 'a' }}",
        "{{ coins | number_to_human: 'a' }}", "{{ coins | plus }}",
        "{% for i in (1..1000000000) %}{% for j in (1..1000000000) %}x{% endfor %}{% endfor %}",
        "{% tablerow i in (1..1000000000) %}x{% endtablerow %}", "{% cycle 'a', 'b' %}",
        "{% include 'config' %}", "{% render 'config' %}", "{% liquid echo 1 %}",
        "{{ 'now' | date: '%Y' }}", "{{ long | split: '' | join: long }}", "{{ long | sort }}",
        "{{ long | append: 'x' }}", "{{ long }}x", "{{ wide }}",
        "{{ long | replace: 'x', 'xx' }}",
        "{{ long | replace: '', long | replace: '', long }}", "{{ '&' | append: long | escape }}",
        "{% assign a = long %}" + "{% assign a = a | append: a %}" * 50,
        "{% capture a %}xx{% endcapture %}" + "{% capture a %}{{a}}{{a}}{% endcapture %}" * 45,
        "{% assign a = 99999999 %}" + "{% assign a = a | times: a %}" * 60,
        "{{ 1 | times: " + "9" * 2_000 + " }}", "{{ '" + "9" * 2_000 + "' | plus: 1 }}",
        "{% if a %}" * 11 + "{% endif %}" * 11, "{{" * 1_000, "{{ " * 680, "{%" * 1_000,
        "{{" + " " * 2_000 + "}}", "{{ a" + " " * 32 + "}}", "{% raw %}" * 220,
        "{{ a" + "[" * 900 + "}}",
        "{% if (1..9000000000000000000) contains 'x' %}y{% endif %}",
        "{{ a }}" + " " * MAX_LINK_LENGTH, "{{ a }}{{", "{{ a | truncate: 'x' }}",
    ],
)  # fmt: skip
def test_a_broken_or_greedy_template_is_the_link_as_it_is(template: str) -> None:
    assert render(template, PROPERTIES) == template


def test_ranges_are_never_written_out() -> None:
    for use in ("", "| size", "| first", "| last", "| slice: 0, 1000000000", "| append: 'x'"):
        assert len(render(f"{{{{ (1..1000000000) {use} }}}}", {})) < 100


def test_what_python_objects_have_is_out_of_reach() -> None:
    template = "{{ name.__class__ }}{{ name['__class__'] }}{{ coins.real }}{{ name.upper }}"
    assert render(template, PROPERTIES) == ""


@given(
    st.lists(
        st.sampled_from(
            ["{{", "}}", "{%", "%}", " if ", " endif ", "assign a =", "|", "'", '"', "name",
             "coins", "append:", "times:", "slice:", "9", "-1", "(1..9)", ".", "[", "]", ",", "<",
             "raw", "long", "replace:", "number_to_human:", "split:", "{{name}}",
             "{% if name %}", "{% endif %}"]
        ),
        max_size=16,
    ).map("".join)
)  # fmt: skip
def test_no_template_raises_or_grows_beyond_the_bound(template: str) -> None:
    rendered = render(template, PROPERTIES)
    assert rendered == template or len(rendered.encode()) <= MAX_TEXT_LENGTH


def test_a_template_has_a_length_that_is_checked_before_it_is_used() -> None:
    assert is_template("{{a}}" + "x" * (MAX_LINK_LENGTH - 5))
    assert not is_template("{{a}}" + "x" * (MAX_LINK_LENGTH - 4))
    assert not is_template("{% for x in y %}{% endfor %}")


@pytest.mark.parametrize(
    "span",
    ["(1..9000000000000000000)", "(1..n)", "( 1 .. n )", "(1..\n2)", "(name..n)", "((1..2)..n)"],
)
@pytest.mark.parametrize(
    "use",
    [
        "{{% if {0} contains 'x' %}}y{{% endif %}}", "{{% if a == {0} %}}y{{% endif %}}",
        "{{% if a %}}{{% elsif {0} == a %}}y{{% endif %}}",
        "{{% unless {0} contains a and b %}}y{{% endunless %}}",
        "{{% case {0} %}}{{% when 1 %}}y{{% endcase %}}",
        "{{% case a %}}{{% when {0} %}}y{{% endcase %}}",
        "{{% case a %}}{{% when 1, {0} %}}y{{% endcase %}}",
        "{{% assign x = {0} %}}{{{{ x | size }}}}", "{{{{ {0} }}}}", "{{{{ {0} | size }}}}",
        "{{{{ name | append: {0} }}}}", "{{{{ name | default: {0} }}}}", "{{{{ {0} | last }}}}",
        "{{{{ name[{0}] }}}}", "{{% if (a and ({0} contains b)) %}}y{{% endif %}}",
        "{{{{ name }}}}{{%- capture x -%}}{{{{ {0} | split: ' ' }}}}{{%- endcapture -%}}",
    ],
)  # fmt: skip
def test_there_are_no_ranges(use: str, span: str) -> None:
    template = use.format(span)
    assert not is_template(template)
    assert render(template, {"n": 9_000_000_000_000_000_000, "name": "Ada"}) == template


def test_dots_in_an_address_are_no_range() -> None:
    assert render("teak1:///a(b)/../{{ name }}/..", {"name": "Ada"}) == "teak1:///a(b)/../Ada/.."


def test_tags_outputs_and_filters_are_counted_before_anything_is_parsed() -> None:
    assert is_template("{{a}}" * MAX_MARKUP)
    assert not is_template("{{a}}" * (MAX_MARKUP + 1))
    assert not is_template("{%if a%}" * 33 + "{%endif%}" * 33)
    assert is_template("{{a" + "|upcase" * MAX_FILTERS + "}}")
    assert not is_template("{{a" + "|upcase" * (MAX_FILTERS + 1) + "}}")


@pytest.mark.parametrize("name", ["squish", "upcase", "url_encode", "strip", "append: ''"])
def test_filters_together_read_and_write_so_much_and_no_more(name: str) -> None:
    long = {"long": "X" * MAX_TEXT_LENGTH}
    most = MAX_WORK // (2 * MAX_TEXT_LENGTH)
    filters = f" | {name}" * most
    assert render(f"{{{{ long{filters} }}}}", long) == long["long"]
    template = f"{{{{ long{filters} | {name} }}}}"
    assert render(template, long) == template


def test_lists_are_short() -> None:
    text = {"a": "x" * MAX_LIST_LENGTH, "b": "x" * (MAX_LIST_LENGTH + 1)}
    assert render("{{ a | split: '' | size }}", text) == str(MAX_LIST_LENGTH)
    template = "{{ b | split: '' | size }}"
    assert render(template, text) == template


def test_a_block_is_rendered_once_however_many_values_match() -> None:
    template = (
        "{% case a %}{% when 1, 1, b %}x{% when 2 or 1 %}y{% when 3 %}z{% else %}w{% endcase %}"
    )
    assert render(template, {"a": 1, "b": 1}) == "xy"
    assert render(template, {"a": 3, "b": 1}) == "z"
    assert render(template, {"a": 4, "b": 1}) == "w"


def test_cases_in_cases_do_not_multiply() -> None:
    ones = ",".join("1" * 60)
    template = f"{{%case 1%}}{{%when {ones}%}}" * 9 + "x" + "{%endcase%}" * 9
    assert len(template) <= MAX_LINK_LENGTH
    assert render(template, {}) == "x"


PARTS = st.sampled_from(
    ["{{ long | squish }}", "{{ name }}", "{{ coins | times: coins }}",
     "{{ 1.5 | round: 99999999 }}", "{{ coins | round: -99999999 }}",
     "{{ '1E999999' | number_to_human }}", "{{ 1e308 | ceil }}",
     "{{ '1E-999999' | number_to_human: 60 }}", "{{ '1e999999999' | plus: 1 }}",
     "{% if long contains long %}", "{% if long == long and long contains name %}", "{% endif %}",
     "{% case lives %}", "{% when 5, 5, 5, lives %}", "{% else %}", "{% endcase %}", "x",
     "{% assign l = long | split: 'x' %}", "{% assign l = name | split: '' %}", "{{ l }}",
     "{% if l contains 'x' or l contains 'y' or l == l %}", "{% assign a = long %}",
     "{% capture a %}", "{% endcapture %}", "{{ a | append: a | squish }}",
     "{{ a | replace: 'x', a }}", "{{ long | truncatewords: 99999999999 }}",
     "{{ long | slice: 0, 99999999999 }}",
     "{% unless long %}", "{% endunless %}", "{% comment %}", "{% endcomment %}", "{% raw %}",
     "{{ long | url_encode | url_decode }}", "{{ coins | divided_by: 7.0 | modulo: 0.1 }}"]
)  # fmt: skip


@examples(150)
@given(st.lists(PARTS, max_size=60))
@example(["{{ long | squish }}"] * 40)
@example(["{% if long == long and long contains name %}x{% endif %}"] * 30)
def test_whatever_a_template_says_it_costs_little(parts: list[str]) -> None:
    """Sixty plain outputs of the longest property are the measure; ranges took for ever."""

    def cost(template: str) -> float:
        times = []
        for _ in range(2):
            started = time.process_time()
            render(template, PROPERTIES)
            times.append(time.process_time() - started)
        return min(times)

    plain = cost("{{ long | upcase | size }}" * 4 + "{{ name }}" * 50)
    assert cost("".join(parts)) < 0.02 + 50 * plain


# --- a process of its own ------------------------------------------------------------------------


def test_what_is_asked_is_what_is_rendered() -> None:
    template = "{{ player_level }}/{{ coins }}/{{ price }}/{{ lives }}/{{ name }}"
    answers = io.BytesIO()
    request = encoded(template, PROPERTIES)
    serve(render, io.BytesIO(request + encoded("{{ é }}", {"é": "\n"})), answers)
    ready, first, second = answers.getvalue().splitlines()
    assert ready == b""
    assert json.loads(first) == render(template, PROPERTIES)
    assert json.loads(second) == "\n"
    assert b"xxxx" not in request, "properties that are not named stay here"


HOLES = {
    "in Python": "while True: pass",
    "in C": "0.5 in range(10**18)",
    "in C, deaf": "signal.signal(signal.SIGTERM, signal.SIG_IGN); sum(range(10**15))",
    "that takes all memory": "x = bytearray(10**10)",
}


@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_of_the_library_costs_the_process_its_life_and_nothing_else(hole: str) -> None:
    """With nobody there to kill it: the kernel does."""
    program = (
        "import signal\nfrom playsmart_gateway.dialects.teak import templates\n"
        f"def render(*_):\n    {HOLES[hole]}\n"
        "templates.render = render\ntemplates.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    out, _ = process.communicate(encoded("{{ a }}", {}), timeout=60)
    assert out == b"\n"
    assert process.returncode in (-signal.SIGPROF, 1)
    assert process.returncode == (1 if "memory" in hole else -signal.SIGPROF)


def test_the_process_ends_with_its_input_and_not_by_the_signals_of_the_gateway() -> None:
    program = "from playsmart_gateway.dialects.teak.templates import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process.send_signal(number)
    process.stdin.write(encoded("{{ 1 | plus: 1 }}", {}))
    process.stdin.flush()
    assert json.loads(process.stdout.readline()) == "2"
    process.stdin.close()
    assert process.wait(30) == 0
    process.stdout.close()


def test_the_library_is_the_one_that_was_tested() -> None:
    """Another one may have other holes."""
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    (pin,) = (each for each in project["dependencies"] if each.startswith("python-liquid"))
    oldest, newest = pin.removeprefix("python-liquid>=").split(",<")
    assert version("python-liquid").startswith(oldest.rpartition(".")[0])
    assert newest == "2.4"
