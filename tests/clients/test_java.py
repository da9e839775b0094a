"""The client for Java in a JVM, and its layer for Android beside a stand-in for Android."""

import re
import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PKCS12Certificate,
    serialize_java_truststore,
)

from playsmart_gateway.clients import CLIENTS
from playsmart_gateway.clients.conformance.adapter import Adapter
from tests.clients.languages import (
    begin,
    begun,
    hold_to_locks,
    hold_to_three_events,
    not_passed,
    shell,
    track,
)
from tests.clients.scripted import REFUSED, Reply, dripping_gateway, scripted_gateway
from tests.manual.blocks import block
from tests.support.polling import PATIENCE_SECONDS, wait_until

CLIENT = CLIENTS["java"]
HERE = Path(__file__).parent / "java"
CHECKS = re.findall(r'\bcheck\(\s*"(.+)",', (HERE / "Checks.java").read_text("utf-8"))
STRICT = "-Xlint:all,-options -Werror"
SMALL = "-Xshare:auto -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx128m"
BANGKOK = "-Duser.language=th", "-Duser.country=TH", "-Duser.variant=TH"
"""Where digits are others, and the year is 543 ahead."""
TELLING = [
    "any-text", "order", "sent-at-of-another-life", "clock-of-the-gateway", "clock-jump",
    "captive-portal", "redirect-takes-no-token", "retry-after-503", "new-token", "poison-422",
    "killed-while-tracking", "torn-line", "another-player", "opt-out", "sampling", "sends-at-fifty",
]  # fmt: skip
"""Cases of conformance in which it would go wrong first."""

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("javac") is None, reason="there is no JDK"),
]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the program of the checks says of each."""
    folder = tmp_path_factory.mktemp("java")
    CLIENT.write(folder)
    shutil.copy(HERE / "Checks.java", folder)
    small(f"javac --release 8 {STRICT} -d out *.java", folder)
    told = small("java -cp out com.playsmart.gateway.Checks queues", folder)
    return dict(line.split(": ", 1) for line in told.splitlines())


def small(command: str, folder: Path) -> str:
    """Run a line in a folder, every JVM a small one, and return what it printed."""
    return shell(command, folder, JAVA_TOOL_OPTIONS=SMALL)


@pytest.mark.parametrize("name", CHECKS)
def test_checked_in_its_own_language(verdicts: dict[str, str], name: str) -> None:
    assert verdicts[name] == "ok"


def test_it_passes_the_cases_that_tell_most_where_digits_and_years_are_others(
    adapter: list[str],
) -> None:
    in_bangkok = [adapter[0], *BANGKOK, *adapter[1:]]
    assert not_passed(in_bangkok, TELLING, jobs=2) == []


def test_a_file_that_another_process_writes_is_left_to_it(
    adapter: list[str], tmp_path: Path
) -> None:
    hold_to_locks(adapter, tmp_path)


def test_an_answer_in_drops_is_none_and_what_cannot_be_set_aside_is_not_sent_again(
    adapter: list[str], tmp_path: Path
) -> None:
    """In one process, as each costs a start."""
    with Adapter(adapter, PATIENCE_SECONDS) as client:
        for slow in ("head", "body without a length"):
            with dripping_gateway(slow) as gateway:
                begin(client, gateway, tmp_path / slow, hurry=50)
                track(client)
                assert client.ask({"do": "flush"})["status"] is None
        with scripted_gateway() as gateway:
            queue = tmp_path / "queue"
            begin(client, gateway, queue)
            track(client)
            (queue / "rejected").touch()
            gateway.script(Reply(400, REFUSED))
            assert client.ask({"do": "flush"})["left"] == 1
            (queue / "rejected").unlink()
            wait_until(lambda: client.ask({"do": "flush"})["left"] == 0 or None)
            assert gateway.sent == [(0, 1)]


def test_only_a_gateway_whose_certificate_is_known_gets_anything(
    adapter: list[str], tmp_path: Path
) -> None:
    store, password = tmp_path / "known.p12", "changeit"
    trusts = f"-Djavax.net.ssl.trustStore={store}", f"-Djavax.net.ssl.trustStorePassword={password}"
    with scripted_gateway(tmp_path) as gateway:
        known = x509.load_pem_x509_certificate((tmp_path / "cert.pem").read_bytes())
        store.write_bytes(
            serialize_java_truststore(
                [PKCS12Certificate(known, b"tests")], BestAvailableEncryption(password.encode())
            )
        )
        for options, sent, asked in ((), 0, 0), (trusts, 1, 1):
            command = [adapter[0], *options, *adapter[1:]]
            with begun(command, gateway, tmp_path / str(sent)) as client:
                track(client)
                assert client.ask({"do": "flush"})["sent"] == sent
            assert (len(gateway.requests), gateway.asked_for_settings) == (sent, asked)


def test_the_program_of_the_manual_sends_what_it_tracks(tmp_path: Path) -> None:
    CLIENT.write(tmp_path / "playsmart")
    _, build, start = block(
        "client-java", "sh", "playsmart-gateway client java --out playsmart"
    ).splitlines()
    with scripted_gateway() as gateway:
        gateway.script(202)
        program = block("client-java", "java", "import")
        (tmp_path / "Game.java").write_text(program.replace("http://127.0.0.1:8000", gateway.url))
        small(build, tmp_path)
        small(re.sub(r"\$\(.+\)", "token", start), tmp_path)
    hold_to_three_events(gateway)
    assert not [*tmp_path.glob("events/*")]


def test_it_uses_nothing_that_an_old_android_a_stripped_build_or_another_language_breaks() -> None:
    unwanted = re.compile(
        r"Class\.forName|\.reflect\b|ServiceLoader|java\.time|java\.nio\.file|java\.util\.function"
        r"|\.format\(\"|to(?:Lower|Upper)Case\(\)|getBytes\(\)"
    )
    sources = [name for name in CLIENT.files if name.endswith(".java")]
    found = {name: unwanted.findall(CLIENT.read(name).decode()) for name in sources}
    assert not any(found.values()), found


def test_the_libraries_of_the_manual_are_those_that_the_layer_for_android_uses() -> None:
    used = set(re.findall(r"import (androidx\.\w+)", CLIENT.read("PlaySmart.kt").decode()))
    assert used == set(re.findall(r'"([\w.]+):', block("client-java", "kotlin", "dependencies")))


@pytest.mark.skipif(shutil.which("kotlinc") is None, reason="there is no Kotlin compiler")
def test_the_layer_for_android_and_the_program_of_the_manual_are_kotlin(tmp_path: Path) -> None:
    home = tmp_path / "com" / "playsmart" / "gateway"
    CLIENT.write(home)
    (tmp_path / "Game.kt").write_text(block("client-java", "kotlin", "import"))
    stand_in = (HERE / "Android.java").read_text("utf-8")
    for package, kind, name, body in re.findall(
        r"^// (\S+)\n((?:abstract )?(?:class|interface|enum)) (\w+)(.*?^}$)", stand_in, re.M | re.S
    ):
        file = tmp_path / package.replace(".", "/") / f"{name}.java"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"package {package};\npublic {kind} {name}{body}\n")
    small(f"kotlinc -Werror -d out {tmp_path}", tmp_path)
    assert (tmp_path / "out" / "Game.class").is_file()
