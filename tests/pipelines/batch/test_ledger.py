"""The ledger survives kills at any byte, and one process at a time writes it."""

from pathlib import Path

import pytest

from dynstream.pipelines.batch.ledger import Ledger
from dynstream.pipelines.common.errors import BatchError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, clock=lambda: 1.5) as ledger:
        ledger.write("start", key="a", digest="d", before=None, source="odd \udcff\nname")
        ledger.write("cut", key="a", spans=[[0, None, 0, 5]])
        ledger.write("piece", key="a", index=0, place="p")
    return path


def test_it_knows_again_what_was_written(path: Path) -> None:
    with Ledger(path) as ledger:
        known = ledger.known["a"]
        assert (known.digest, known.before, known.identity, known.spans) == ("d", None, None, [[0, None, 0, 5]])
        assert known.pieces == {0: "p"}
        ledger.write("done", key="a", identity="i")
    with Ledger(path) as ledger:
        assert (ledger.known["a"].identity, ledger.known["a"].pieces) == ("i", {})


def test_a_last_line_that_was_cut_short_is_dropped_at_every_byte(path: Path) -> None:
    whole = path.read_bytes()
    begin = whole.rindex(b"\n", 0, -1) + 1
    for length in range(begin, len(whole)):
        path.write_bytes(whole[:length])
        with Ledger(path) as ledger:
            assert ledger.known["a"].pieces == {}
        assert path.read_bytes() == whole[:begin]


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1]\n", b'{"key": "a"}\n', b'{"event": "start", "key": "a"}\n'])
def test_a_file_that_is_no_ledger_is_refused(path: Path, line: bytes) -> None:
    path.write_bytes(line + path.read_bytes())
    before = path.read_bytes()
    with pytest.raises(BatchError, match="line 1, is no event of a batch"):
        Ledger(path).__enter__()
    assert path.read_bytes() == before


def test_two_batches_cannot_share_it(path: Path) -> None:
    with Ledger(path), pytest.raises(BatchError, match="another batch is writing"):
        Ledger(path).__enter__()
