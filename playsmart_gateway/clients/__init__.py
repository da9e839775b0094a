"""Clients to drop into a game, a folder each; ``playsmart-gateway client`` prints them.

It owns the files and a line on each. A client imports nothing of the gateway, as it is copied out
of here, and knows of it what the manual's chapter ``clients`` says. That it does so is held by
``conformance``, which drives it through its adapter. One more client is a folder with its files and
an adapter, a function in ``adapters`` that starts that, an entry in ``CLIENTS``, and a chapter of
the manual, ``client-`` and its name. Start reading at ``CLIENTS``.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from playsmart_gateway.clients import adapters


class Client(NamedTuple):
    """What is copied into a game: ``files`` of ``folder``, by their paths in it.

    ``adapter`` is a function of ``adapters``.
    """

    about: str
    folder: Path
    files: tuple[str, ...]
    adapter: Callable[[Path, Path], list[str]]

    def read(self, file: str) -> bytes:
        """Return one of ``files`` as it is to be used."""
        return (self.folder / file).read_bytes()

    def write(self, folder: Path) -> list[Path]:
        """Write all of ``files`` below ``folder``, which may not be there yet, and return them.

        Raises:
            FileExistsError: one of them is there already, ``filename``; then none is written.
            OSError: ``filename`` cannot be written; then none is left.
        """
        targets = [folder / each for each in self.files]
        for target in targets:
            if target.exists() or target.is_symlink():
                raise FileExistsError(0, "is there already", str(target))
        written: list[Path] = []
        for file, target in zip(self.files, targets, strict=True):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as opened:
                    written.append(target)
                    opened.write(self.read(file))
            except OSError as error:
                for each in written:  # else the next try would find it there
                    each.unlink(missing_ok=True)
                raise OSError(error.errno, error.strerror, error.filename or str(target)) from None
        return targets

    @contextlib.contextmanager
    def ready(self) -> Iterator[list[str]]:
        """Yield the command that starts its adapter; what was built for it is deleted at the end.

        Raises:
            ToolMissing: the language is not installed.
            subprocess.CalledProcessError: it cannot be built; ``output`` says why.
        """
        with tempfile.TemporaryDirectory(prefix="adapter-") as built:
            yield self.adapter(self.folder, Path(built))


_HERE = Path(__file__).parent

CLIENTS = {
    "godot": Client(
        "Godot 4, and Godot >= 3.2 in a folder of its own: games on phones and desktops",
        _HERE / "godot",
        ("playsmart_client.gd", "godot3/playsmart_client.gd"),
        adapters.godot,
    ),
    "java": Client(
        "Android >= 5.0, and Java >= 8 elsewhere: games in Java and Kotlin",
        _HERE / "java",
        (
            "PlaySmart.kt",
            "PlaySmartClient.java",
            "EventQueue.java",
            "Http.java",
            "Json.java",
            "Settings.java",
        ),
        adapters.java,
    ),
    "python": Client(
        "Python >= 3.11, the standard library: games and their servers",
        _HERE / "python",
        ("playsmart_client.py",),
        adapters.python,
    ),
    "typescript": Client(
        "TypeScript and JavaScript: games in browsers, and programs in node >= 20",
        _HERE / "typescript",
        ("playsmart_client.ts", "playsmart_client.js", "playsmart_files.ts", "playsmart_files.js"),
        adapters.typescript,
    ),
    "unity": Client(
        "Unity >= 2019.4, and C# in .NET: games on phones and desktops",
        _HERE / "unity",
        (
            "package.json",
            "PlaySmart.asmdef",
            "PlaySmartUnity.cs",
            "PlaySmartClient.cs",
            "PlaySmartOptions.cs",
            "Queue.cs",
            "Http.cs",
            "Json.cs",
            "Settings.cs",
            "PrivacyInfo.xcprivacy",
        ),
        adapters.unity,
    ),
}
"""What there is, by the name that the command takes."""
