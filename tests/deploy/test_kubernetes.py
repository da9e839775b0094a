"""The objects for Kubernetes, held against the configuration, the container and a gateway."""

import re
from typing import Any

import pytest
import yaml

from playsmart_gateway.config import Buffer, Server
from playsmart_gateway.deploy import read_file
from playsmart_gateway.dialects import load_config
from tests.support.process import SECRET, RunningGateway

TEXT = read_file("kubernetes")
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all(TEXT))
CONTAINER = read_file("container")
KNOWN = {
    "ConfigMap": {"apiVersion", "kind", "metadata", "data"},
    "Service": {"apiVersion", "kind", "metadata", "spec"},
    "StatefulSet": {"apiVersion", "kind", "metadata", "spec"},
}


def of(kind: str) -> list[Any]:
    return [each for each in OBJECTS if each["kind"] == kind]


(SET,), (CONFIG,), SERVICES = of("StatefulSet"), of("ConfigMap"), of("Service")
POD = SET["spec"]["template"]
(GATEWAY,) = POD["spec"]["containers"]


def test_each_object_is_of_a_kind_that_there_is() -> None:
    for each in OBJECTS:
        assert set(each) == KNOWN[each["kind"]]
        assert each["apiVersion"] == ("apps/v1" if each["kind"] == "StatefulSet" else "v1")
        assert re.fullmatch("[a-z0-9-]{1,63}", each["metadata"]["name"])


def test_what_names_another_names_one_that_is_there() -> None:
    labels = POD["metadata"]["labels"]
    assert SET["spec"]["selector"]["matchLabels"] == labels
    ports = {port["name"]: port["containerPort"] for port in GATEWAY["ports"]}
    for service in SERVICES:
        assert service["spec"]["selector"] == labels
        (port,) = service["spec"]["ports"]
        assert port["targetPort"] in ports
    (headless,) = [each for each in SERVICES if each["spec"].get("clusterIP") == "None"]
    assert SET["spec"]["serviceName"] == headless["metadata"]["name"]
    assert headless["spec"]["publishNotReadyAddresses"] is True
    assert ports == {"http": Server().port}
    volumes = {each["name"] for each in POD["spec"]["volumes"]}
    claims = {each["metadata"]["name"] for each in SET["spec"]["volumeClaimTemplates"]}
    assert {mount["name"] for mount in GATEWAY["volumeMounts"]} == volumes | claims
    (config,) = [each["configMap"]["name"] for each in POD["spec"]["volumes"]]
    assert config == CONFIG["metadata"]["name"]


def test_the_configuration_and_the_variables_are_taken(tmp_path: Any) -> None:
    (name,) = CONFIG["data"]
    path = tmp_path / name
    path.write_text(CONFIG["data"][name])
    secret = [each for each in GATEWAY["env"] if "valueFrom" in each]
    environment = {each["name"]: each.get("value", SECRET) for each in GATEWAY["env"]}
    config = load_config(path, environment)
    assert (config.auth.secret, config.log.format) == (SECRET, "json")
    (reference,) = [each["valueFrom"]["secretKeyRef"] for each in secret]
    made = re.search(r"create secret generic (\S+) --from-literal=([^=]+)=", TEXT)
    assert made
    assert reference == {"name": made[1], "key": made[2]}


def test_the_mounts_are_where_the_container_looks() -> None:
    data, config = GATEWAY["volumeMounts"]
    assert f"WORKDIR {data['mountPath']}\n" in CONTAINER
    (name,) = CONFIG["data"]
    assert f'"--config", "{config["mountPath"]}/{name}"' in CONTAINER
    assert config["readOnly"] is True


def test_the_probes_ask_what_is_there(gateway: RunningGateway) -> None:
    ports = {port["name"] for port in GATEWAY["ports"]}
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = GATEWAY[kind]["httpGet"]
        assert asked["port"] in ports
        assert gateway.client.get(asked["path"]).status_code == 200
    assert GATEWAY["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert GATEWAY["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_a_pod_has_time_to_drain_and_memory_for_its_buffer() -> None:
    pause = int(GATEWAY["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["spec"]["terminationGracePeriodSeconds"] > pause + Server().drain_timeout_seconds
    limits = GATEWAY["resources"]["limits"]
    assert limits["memory"] == "1Gi"
    assert Buffer().max_bytes * 2 < 1 << 30


def test_a_pod_may_do_nothing_that_it_need_not() -> None:
    mine = POD["spec"]["securityContext"]
    assert f"USER {mine['runAsUser']}:{mine['runAsGroup']}\n" in CONTAINER
    assert mine["fsGroup"] == mine["runAsGroup"]
    assert mine["runAsNonRoot"] is True
    assert GATEWAY["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("anchor", ["<<", "&", "!"])
def test_it_is_plain_yaml(anchor: str) -> None:
    assert not re.search(rf"^\s*(- )?{re.escape(anchor)}", TEXT, re.MULTILINE)
