"""Two gateways behind one address are one API server to a client that never asks the same one twice in a row."""

from tests.e2e.clients.replicated_stack import ReplicatedStack
from tests.e2e.stacks.api_client import ApiClient


def test_a_write_is_read_back_at_once_through_whichever_gateway_is_drawn(replicated: ReplicatedStack) -> None:
    api: ApiClient = replicated.api
    for number in range(20):
        path = f"/api/v1/namespaces/drawn-{number}"
        status, created = api.send("POST", "/api/v1/namespaces", {"metadata": {"name": f"drawn-{number}"}})
        assert status == 201, created
        status, found = api.read(path)
        assert (status, found["metadata"]["uid"]) == (200, created["metadata"]["uid"])
    assert len(replicated.balancer.served) == 2, replicated.balancer.served


def test_a_client_goes_on_when_one_gateway_ends(replicated: ReplicatedStack) -> None:
    replicated.programs["gateway-2"].stop()
    try:
        assert {replicated.api.read("/api/v1/namespaces/default")[0] for _ in range(10)} == {200}
    finally:
        replicated.start("gateway-2")
