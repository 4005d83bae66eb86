from __future__ import annotations

import os
import socket

import pytest

from lumen.cluster import connection as module
from lumen.cluster.connection import Cluster, Needs, require_ray
from lumen.config import RuntimeOptions
from lumen.errors import MissingExtraError, UsageError
from lumen.extras import Package
from tests.support.fake_ray import FakeRay


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    fake.install(monkeypatch)
    return fake


def test_without_ray_the_line_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RAY", Package(name="ray", module="no_such_ray", extra="ray"))
    with pytest.raises(MissingExtraError, match=r"--engine ray needs ray; install it with: pip install '.*\[ray\]'"):
        require_ray(RuntimeOptions())


def test_a_gpu_has_no_number_in_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RAY", Package(name="ray", module="json", extra="ray"))
    require_ray(RuntimeOptions(device="cuda"))
    require_ray(RuntimeOptions(device="openvino:CPU"))
    with pytest.raises(UsageError, match="expected --device cuda with --engine ray, got cuda:1"):
        require_ray(RuntimeOptions(device="cuda:1"))


@pytest.mark.parametrize(
    ("needs", "workers"),
    [
        (Needs(cpus=1), 8),
        (Needs(cpus=3), 2),
        (Needs(cpus=1, gpus=1), 2),
        (Needs(cpus=1, memory=5 << 30), 3),
        (Needs(cpus=9), 0),
    ],
)
def test_a_node_has_room_for_as_many_workers_as_its_scarcest_resource(needs: Needs, workers: int) -> None:
    assert needs.workers_on({"CPU": 8.0, "GPU": 2.0, "memory": float(16 << 30)}) == workers


@pytest.mark.parametrize(
    ("device", "gpus_there", "gpus"), [("auto", 1, 1), ("auto", 0, 0), ("cpu", 1, 0), ("cuda", 0, 1)]
)
def test_a_worker_takes_a_gpu_where_it_uses_one(ray: FakeRay, device: str, gpus_there: int, gpus: int) -> None:
    ray.nodes[0]["Resources"] = {"CPU": 2.0, "GPU": float(gpus_there)}
    assert Cluster().needs_of(RuntimeOptions(device=device, threads=2)) == Needs(cpus=2, gpus=gpus)


def test_lost_nodes_are_not_counted(ray: FakeRay) -> None:
    ray.nodes.append({**ray.nodes[0], "Alive": False})
    assert Cluster().workers(Needs(cpus=1)) == 2


def test_reports_to_the_makers_of_ray_are_off_unless_asked_for(ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ray.nodes
    monkeypatch.setenv(module.USAGE_REPORTS, "1")
    Cluster()
    assert os.environ[module.USAGE_REPORTS] == "1"
    monkeypatch.delenv(module.USAGE_REPORTS)
    Cluster()
    assert os.environ[module.USAGE_REPORTS] == "0"


def test_where_nobody_listens_ray_does_not_try_for_minutes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}", "", "auto", "local"):
            module._knock(address)
    with pytest.raises(OSError, match="refused"):
        module._knock(f"127.0.0.1:{port}")
