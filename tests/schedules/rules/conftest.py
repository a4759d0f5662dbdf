"""The host, described once."""

from __future__ import annotations

import pytest

from edgewright.spec.target import Target, host_target


@pytest.fixture(scope="session")
def host() -> Target:
    return host_target()
