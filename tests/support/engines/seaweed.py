"""An object store that speaks S3, on free ports of 127.0.0.1: SeaweedFS, which tells nobody of it.

Its folder and ports stay when it is stopped, so it can come back.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs
import pytest

from tests.support.ports import free_port

START_SECONDS = 60.0
KEY, SECRET = "test-key", "a-secret-of-a-bucket-for-tests"
BUCKET = "lakes"
_IDENTITIES = json.dumps(
    {
        "identities": [
            {
                "name": "tests",
                "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
                "actions": ["Admin", "Read", "Write", "List"],
            }
        ]
    }
)
KEYS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
"""What the environment of whoever uses it has."""


def find_program() -> str | None:
    """Return the program; None if it is not here."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


class ObjectStore:
    """One server with one bucket; ``start`` and ``stop`` it at will."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._folder = Path(tempfile.mkdtemp(prefix="playsmart-seaweed-"))
        (self._folder / "s3.json").write_text(_IDENTITIES)
        self._ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
        self._grpc = {name: free_port() for name in self._ports}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """Where everything is that it keeps."""
        return self._folder

    def lake_url(self, name: str) -> str:
        """A lake of that name."""
        given = f"endpoint_override=127.0.0.1:{self._ports['s3']}&scheme=http&region=us-east-1"
        return f"s3://{BUCKET}/{name}?{given}"

    def start(self) -> None:
        """Start it, and wait until the bucket is there."""
        ports = [f"-{name}.port={port}" for name, port in self._ports.items()]
        ports += [f"-{name}.port.grpc={port}" for name, port in self._grpc.items()]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._program, "server", "-ip=127.0.0.1", f"-dir={self._folder}", "-s3",
                    f"-s3.config={self._folder / 's3.json'}", "-master.telemetry=false",
                    "-master.volumeSizeLimitMB=64", "-volume.max=20", *ports,
                    "-s3.port.iceberg=0", "-s3.port.lance=0",  # two servers would have one port
                ],
                cwd=self._folder, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self._has_bucket():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self._folder / "log").read_text()[-3_000:])
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill it, if it runs."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Stop it, and leave nothing."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _has_bucket(self) -> bool:
        files = pyarrow.fs.S3FileSystem(
            access_key=KEY,
            secret_key=SECRET,
            endpoint_override=f"127.0.0.1:{self._ports['s3']}",
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
            connect_timeout=1,
            request_timeout=5,
            retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=1),
        )
        try:
            files.create_dir(BUCKET)
            with files.open_output_stream(f"{BUCKET}/ready") as file:
                file.write(b"it takes files")
        except OSError:
            return False
        return True


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """A server that runs."""
    program = find_program()
    if program is None:
        pytest.skip("there is no SeaweedFS here")
    server = ObjectStore(program)
    try:
        server.start()
        yield server
    finally:
        server.remove()
