"""Which configuration a command takes, and what it says of that when it fails."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from playsmart_gateway.cli import common
from playsmart_gateway.config.tables import anchored
from playsmart_gateway.deploy import read_file
from playsmart_gateway.dialects import load_config
from playsmart_gateway.stores.open import open_store
from tests.support.commands import RunHere
from tests.support.event_batches import make_batches


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of a unit on this machine, whose store has events in its own folder."""
    file, folder = tmp_path / "etc" / "config.toml", tmp_path / "lib"
    file.parent.mkdir()
    (folder / "data").mkdir(parents=True)
    file.write_text("")
    monkeypatch.setattr(common, "UNIT_FILE", file)
    monkeypatch.setattr(common, "UNIT_FOLDER", folder)

    async def fill() -> None:
        async with open_store(f"sqlite:///{folder}/data/playsmart.db") as store:
            await store.write(make_batches())

    asyncio.run(fill())
    return file


def test_the_variable_names_the_file_and_an_option_comes_before_it(
    run_here: RunHere, tmp_path: Path
) -> None:
    for name, port in (("one.toml", 9001), ("two.toml", 9002)):
        (tmp_path / name).write_text(f"[server]\nport = {port}\n")
    told = run_here("check-config", CONFIG="one.toml")
    assert json.loads(told.stdout)["server"]["port"] == 9001
    told = run_here("check-config", "--config", "two.toml", CONFIG="one.toml")
    assert json.loads(told.stdout)["server"]["port"] == 9002
    told = run_here("check-config", CONFIG="")
    assert json.loads(told.stdout)["server"]["port"] == 8000


def test_what_is_wrong_is_told_with_the_file_in_which_it_is(
    run_here: RunHere, tmp_path: Path
) -> None:
    (tmp_path / "one.toml").write_text("[server]\nprot = 1\n")
    told = run_here("stats", CONFIG="one.toml")
    assert told.returncode == 2
    assert told.stderr == (
        "error: server.prot: unknown key; did you mean server.port? "
        "(the configuration is one.toml, by PLAYSMART_CONFIG)\n"
    )
    (tmp_path / "two.toml").write_text('[storage]\nurl = "sqlite:///none.db"\n')
    told = run_here("stats", "--config", "two.toml")
    assert "none.db" in told.stderr
    assert "(the configuration is two.toml, by --config)" in told.stderr
    assert "no configuration file is given" in run_here("stats").stderr
    assert run_here("stats", CONFIG="none.toml").stderr.count("none.toml") == 1


def test_that_of_the_unit_is_found_and_its_paths_are_those_of_its_folder(
    run_here: RunHere, unit: Path
) -> None:
    told = run_here("stats", "--json", without=["CONFIG"])
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["events"] == 10
    shown = json.loads(run_here("check-config", without=["CONFIG"]).stdout)
    assert shown["storage"]["url"] == f"sqlite:///{unit.parent.parent}/lib/data/playsmart.db"
    assert shown["journal"]["path"] == f"{unit.parent.parent}/lib/data/journal"
    unit.write_text("[server]\nprot = 1\n")
    told = run_here("stats", without=["CONFIG"])
    assert f"(the configuration is {unit}, of the unit: give --config for another)" in told.stderr


def test_what_runs_on_and_on_does_not_take_that_of_the_unit(run_here: RunHere, unit: Path) -> None:
    unit.write_text("[server]\nprot = 1\n")
    told = run_here("serve", "--port", "0", without=["CONFIG"])
    assert told.returncode == 2
    assert told.stderr.startswith("error: auth: needs one of ")


def test_the_unit_is_where_the_files_to_deploy_with_have_it() -> None:
    text = read_file("systemd")
    assert f"serve --config {common.UNIT_FILE}\n" in text
    assert f"WorkingDirectory={common.UNIT_FOLDER}\n" in text
    assert f"{common.UNIT_FILE}" in read_file("container")
    assert re.search(rf"WORKDIR {common.UNIT_FOLDER}\n", read_file("container"))


def test_only_relative_paths_are_those_of_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text(
        '[storage]\nurl = "sqlite:////var/a.db"\nreads_url = "postgresql://h/x"\n'
        '[lake]\nurl = "lake"\n[catalogue]\ndefinitions_file = "d.toml"\n'
        '[auth]\npublic_key_file = "/etc/key.pem"\n'
    )
    config = anchored(load_config(file, {}), Path("/srv"))
    assert (config.storage.url, config.storage.reads_url) == (
        "sqlite:////var/a.db", "postgresql://h/x",
    )  # fmt: skip
    assert (config.lake.url, config.catalogue.definitions_file) == ("/srv/lake", "/srv/d.toml")
    assert config.auth.public_key_file == "/etc/key.pem"
    assert config.journal.path == "/srv/data/journal"
    bucket = tmp_path / "bucket.toml"
    bucket.write_text('[lake]\nurl = "s3://bucket/lake"\n')
    assert anchored(load_config(bucket, {}), Path("/srv")).lake.url == "s3://bucket/lake"
