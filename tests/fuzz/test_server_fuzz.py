"""A small part of the fuzzing, always the same."""

import asyncio

import pytest

from .server_fuzz import KINDS, fuzz


@pytest.mark.parametrize(
    ("kind", "count"), [("sdp", 60), ("http", 100), ("json", 100), ("msgpack", 1000), ("candidate", 1000)]
)
def test_no_mutation_is_a_fault_of_the_server(kind: str, count: int) -> None:
    assert kind in KINDS
    assert asyncio.run(fuzz(kind, count, seed=23)) == []
