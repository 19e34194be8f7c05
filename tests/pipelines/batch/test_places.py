"""Local files and stores: fetched, put by rename, and told apart without reading."""

import os
import re
from pathlib import Path

import fsspec
import pytest

from dynstream.pipelines.batch import places
from dynstream.pipelines.common.errors import BatchError
from dynstream.stream.errors import SinkError, SourceError


@pytest.fixture(params=["local", "store"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path)
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    return "memory://bucket"


def test_a_result_is_put_under_its_name_and_fetched_again(root: str, tmp_path: Path) -> None:
    place, made = f"{root}/result.mp4", tmp_path / "made.mp4"
    assert places.identity(place) is None
    made.write_bytes(b"first")
    places.put(made, place, expected=None)
    first = places.identity(place)
    assert first is not None
    made.write_bytes(b"second one")
    with pytest.raises(SinkError, match="appeared or changed while it was made"):
        places.put(made, place, expected=None)
    places.put(made, place, expected=first)
    assert places.identity(place) != first
    with places.fetched(place, tmp_path) as local:
        assert local.read_bytes() == b"second one"
        assert local.suffix == ".mp4"
    places.remove(place)
    places.remove(place)
    assert places.identity(place) is None


def test_a_source_that_is_not_there_or_changes(root: str, tmp_path: Path) -> None:
    place, made = f"{root}/source.mp4", tmp_path / "made"
    with pytest.raises(SourceError, match=r"source.mp4 does not exist"), places.fetched(place, tmp_path):
        pass
    made.write_bytes(b"1")
    places.put(made, place, expected=None)
    made.write_bytes(b"22")
    with pytest.raises(SourceError, match="changed while it was read"), places.fetched(place, tmp_path):
        places.put(made, place, expected=places.identity(place))


def test_scratch_is_beside_the_result_and_goes(root: str) -> None:
    place = f"{root}/result.mp4"
    with places.scratch(place, "key") as folder:
        (folder / "half.mp4").touch()
        assert folder.parent.name == places.SCRATCH
        assert places.is_url(place) or folder.parent.parent == Path(root)
        places.clear_scratch(place, "other")
        assert folder.exists()
    assert not folder.exists()
    assert re.fullmatch(re.escape(root) + r"/\.dynstream-batch/key-0001\.mkv", places.beside(place, "key-0001.mkv"))


def test_names(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    assert places.absolute(str(tmp_path / "link" / "a.mp4")) == os.path.realpath(tmp_path / "a.mp4")
    assert places.absolute("s3://a/b.mp4") == "s3://a/b.mp4"
    assert places.name_of("https://host/a/b.mp4?token=x/y") == "b.mp4"
    with pytest.raises(BatchError, match=r"nonsense://x cannot be opened"):
        places.open_store("nonsense://x")
