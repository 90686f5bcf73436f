"""A repeated change has no second effect; two different ones in the same second are not mistaken for one."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.support import control, trail


def test_create_delete_create_within_a_second_ends_with_the_agent_there(portal):
    tenant = portal.new_tenant()
    client = control(tenant, portal.url)
    for _ in range(3):
        client.create_workload_identity(name="bot")
        client.delete_workload_identity(name="bot")
    client.create_workload_identity(name="bot")
    assert client.get_workload_identity(name="bot")["name"] == "bot"
    client.delete_workload_identity(name="bot")
    with pytest.raises(ClientError) as refused:
        client.get_workload_identity(name="bot")
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
    made = trail(tenant, action="agent.create", outcome="allowed")
    assert len(made) == 4
