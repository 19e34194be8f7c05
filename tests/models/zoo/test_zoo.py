"""The cache: what is pulled or imported is checked and appears whole or not at all."""

import errno
import hashlib
import io
import json
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import platformdirs
import pytest

from dynstream.models.errors import DigestError, WeightsError
from dynstream.models.zoo import zoo as zoo_module
from dynstream.models.zoo.entries import Archive, ByHand, Entry, Member, Recipe
from dynstream.models.zoo.zoo import Fetched, Said, Zoo, default_cache

ALPHA, BETA = b"alpha" * 1000, b"beta" * 500
CHUNK = 64


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def wheel(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


PACKED = wheel({"tiny/alpha.bin": ALPHA, "tiny/beta.bin": BETA, "tiny/__init__.py": b"raise SystemExit"})
ARCHIVE = Archive("tiny", "1.0", "tiny-1.0-py3-none-any.whl", len(PACKED), sha256(PACKED))


def entry(name: str, content: bytes, *, archive: Archive = ARCHIVE, path: str = "", revision: int = 1) -> Entry:
    member = Member(path or f"tiny/{name}.bin", f"{name}.bin", len(content), sha256(content))
    recipe = Recipe(archive, (member,), "copy", revision, (member.name,))
    return Entry(name, f"the {name}", "https://example.org", "MIT", "for tests", True, recipe)


SCRIPT = wheel({"fan/constants.pkl": b".", "fan/code/fan.py": b"", "fan/data.pkl": b"."})
BY_HAND = Entry(
    "fan",
    "landmarks",
    "https://example.org",
    "BSD",
    "",
    False,
    by_hand=(
        ByHand("fan.zip", "https://example.org/fan.zip", sha256(SCRIPT), "torchscript"),
        ByHand("fan.pth", "https://example.org/fan.pth", None, "s3fd"),
    ),
)
ENTRIES = {e.name: e for e in (entry("alpha", ALPHA), entry("beta", BETA), BY_HAND)}


class FakeIndex:
    """Serves one content for every archive in small chunks; `at_chunk` is called before each with its number."""

    name = "test index"

    def __init__(self, content: bytes = PACKED, at_chunk: Callable[[int], None] = lambda number: None) -> None:
        self.content = content
        self.at_chunk = at_chunk
        self.served = 0

    @contextmanager
    def stream(self, archive: Archive) -> Iterator[Iterable[bytes]]:
        self.served += 1
        yield self._chunks()

    def _chunks(self) -> Iterator[bytes]:
        for number, start in enumerate(range(0, len(self.content), CHUNK)):
            self.at_chunk(number)
            yield self.content[start : start + CHUNK]


class NoIndex:
    """Fails the test where something is fetched after all."""

    name = "no index"

    def stream(self, archive: Archive) -> NoReturn:
        raise AssertionError(f"{archive.file} was fetched")


def make(cache: Path, index: FakeIndex | NoIndex | None = None, **options: object) -> tuple[Zoo, list[Said | Fetched]]:
    events: list[Said | Fetched] = []
    options = {"entries": ENTRIES, "report": events.append, **options}
    return Zoo(cache, index=index or FakeIndex(), **options), events


def left(cache: Path) -> list[str]:
    """Every file in the cache but the locks, which are empty and stay."""
    files = (path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock")
    return sorted(path.relative_to(cache).as_posix() for path in files)


def test_path_pulls_once_and_says_what_from_where_and_on_which_terms(tmp_path: Path) -> None:
    zoo, events = make(tmp_path, index := FakeIndex())
    path = zoo.path("alpha")
    assert path.read_bytes() == ALPHA
    assert path == zoo.path("alpha") == zoo.path("alpha", "alpha.bin")
    assert index.served == 1
    (line,) = [event.text for event in events if isinstance(event, Said)]
    for part in ("alpha", "the alpha", "test index", ARCHIVE.file, "licence MIT", "for tests", "NON-COMMERCIAL"):
        assert part in line
    progress = [event for event in events if isinstance(event, Fetched)]
    assert [event.done for event in progress] == sorted(event.done for event in progress)
    assert progress[-1] == Fetched(ARCHIVE.file, ARCHIVE.bytes, ARCHIVE.bytes)
    slot = path.parent.relative_to(tmp_path).as_posix()
    assert left(tmp_path) == [f"{slot}/alpha.bin", f"{slot}/manifest.json"]  # neither the archive nor anything else
    assert json.loads((path.parent / "manifest.json").read_text())["files"] == {
        "alpha.bin": {"bytes": len(ALPHA), "sha256": sha256(ALPHA)}
    }


def test_entries_of_one_archive_share_a_download(tmp_path: Path) -> None:
    zoo, _ = make(tmp_path, index := FakeIndex())
    zoo.pull("alpha", "beta", "alpha")
    assert index.served == 1
    assert (zoo.path("alpha").read_bytes(), zoo.path("beta").read_bytes()) == (ALPHA, BETA)


def test_an_entry_with_several_files_gives_its_folder(tmp_path: Path) -> None:
    both = Recipe(
        ARCHIVE,
        (
            Member("tiny/alpha.bin", "alpha.bin", len(ALPHA), sha256(ALPHA)),
            Member("tiny/beta.bin", "deep/beta.bin", len(BETA), sha256(BETA)),
        ),
        "copy",
        1,
        ("alpha.bin", "deep/beta.bin"),
    )
    zoo, _ = make(tmp_path, entries={"both": Entry("both", "u", "https://s", "MIT", "", False, both)})
    assert (zoo.path("both") / "deep" / "beta.bin").read_bytes() == BETA
    assert zoo.path("both", "alpha.bin").read_bytes() == ALPHA
    with pytest.raises(WeightsError, match=r"'both' has no file 'gamma'; it has alpha\.bin, deep/beta\.bin"):
        zoo.path("both", "gamma")


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    zoo, _ = make(tmp_path, NoIndex())
    for ask in (zoo.path, zoo.pull, zoo.verify, zoo.status, lambda name: zoo.import_file(name, tmp_path)):
        with pytest.raises(
            WeightsError, match="no weights named 'alpa', did you mean 'alpha'; known are alpha, beta, fan"
        ):
            ask("alpa")


def test_a_cached_entry_needs_neither_network_nor_a_lock(tmp_path: Path) -> None:
    make(tmp_path)[0].pull("alpha")
    shutil.rmtree(tmp_path / "weights" / ".partial")
    zoo, _ = make(tmp_path, NoIndex(), offline=True)
    assert zoo.path("alpha").read_bytes() == ALPHA
    zoo.pull("alpha")
    assert not (tmp_path / "weights" / ".partial").exists()


def test_offline_says_both_ways_out(tmp_path: Path) -> None:
    zoo, _ = make(tmp_path / "cache", NoIndex(), offline=True)
    with pytest.raises(WeightsError, match="--offline") as caught:
        zoo.path("alpha")
    assert "`dynstream models pull alpha`" in str(caught.value)
    assert f"`dynstream models import alpha {ARCHIVE.file}`" in str(caught.value)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "content",
    [PACKED[:-1] + bytes([PACKED[-1] ^ 1]), PACKED + b"x", wheel({"tiny/alpha.bin": ALPHA + b"!", "x": bytes(2000)})],
    ids=["flipped", "longer", "another"],
)
def test_a_wrong_archive_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    zoo, _ = make(tmp_path, FakeIndex(content))
    with pytest.raises(DigestError if len(content) >= len(PACKED) else WeightsError) as caught:
        zoo.path("alpha")
    assert ARCHIVE.file in str(caught.value)
    assert "test index" in str(caught.value)
    assert left(tmp_path) == []
    assert zoo.status("alpha") == "absent"


def test_a_wrong_member_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    zoo, _ = make(tmp_path, entries={"alpha": entry("alpha", BETA, path="tiny/alpha.bin")})
    with pytest.raises(DigestError, match=r"tiny/alpha\.bin of tiny-1\.0.* is not the promised file"):
        zoo.path("alpha")
    assert left(tmp_path) == []


def test_a_missing_member_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    zoo, _ = make(tmp_path, entries={"gone": entry("gone", ALPHA)})
    with pytest.raises(WeightsError, match=r"tiny-1\.0.* has no file tiny/gone\.bin"):
        zoo.path("gone")
    assert left(tmp_path) == []


@pytest.mark.parametrize("failure", [WeightsError("line cut"), KeyboardInterrupt(), ValueError("a bug")])
def test_an_interrupted_pull_leaves_nothing_and_the_next_succeeds(tmp_path: Path, failure: BaseException) -> None:
    def fail(number: int) -> None:
        if number == 5:
            raise failure

    zoo, _ = make(tmp_path, FakeIndex(at_chunk=fail))
    with pytest.raises(type(failure)):
        zoo.path("alpha")
    assert left(tmp_path) == []
    zoo, _ = make(tmp_path)
    assert zoo.path("alpha").read_bytes() == ALPHA


def test_a_download_that_ends_early_says_so(tmp_path: Path) -> None:
    zoo, _ = make(tmp_path, FakeIndex(PACKED[:1000]))
    with pytest.raises(WeightsError, match=f"broke off after 1000 of {len(PACKED)} bytes"):
        zoo.path("alpha")


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    stale = tmp_path / "weights" / ".partial" / ARCHIVE.file
    (stale / "alpha").mkdir(parents=True)
    (stale / "alpha" / "alpha.bin").write_bytes(b"half")
    (stale / "archive").write_bytes(PACKED[:100])
    zoo, _ = make(tmp_path)
    assert zoo.path("alpha").read_bytes() == ALPHA
    assert not stale.exists()


def test_of_two_that_pull_at_once_the_second_waits_and_fetches_nothing(tmp_path: Path) -> None:
    waiting = threading.Event()

    def first_holds_on(number: int) -> None:
        if number == 3:
            assert waiting.wait(60)

    found: list[Path] = []
    said: list[Said | Fetched] = []

    def second_reports(event: Said | Fetched) -> None:
        said.append(event)
        waiting.set()

    second = Zoo(tmp_path, index=NoIndex(), entries=ENTRIES, report=second_reports)
    other = threading.Thread(target=lambda: found.append(second.path("alpha")))

    def start_the_other(number: int) -> None:
        if number == 1:
            other.start()
        first_holds_on(number)

    first, _ = make(tmp_path, FakeIndex(at_chunk=start_the_other))
    path = first.path("alpha")
    other.join(60)
    assert found == [path]
    assert said == [Said(f"Another process is fetching {ARCHIVE.file}; waiting for it")]
    assert path.read_bytes() == ALPHA


def test_a_changed_recipe_is_converted_anew_beside_the_old_one(tmp_path: Path) -> None:
    old = make(tmp_path)[0].path("alpha")
    zoo, _ = make(tmp_path, index := FakeIndex(), entries={"alpha": entry("alpha", ALPHA, revision=2)})
    assert zoo.status("alpha") == "absent"
    assert zoo.path("alpha") != old
    assert index.served == 1
    assert old.exists()


def test_damage_is_seen_and_mended(tmp_path: Path) -> None:
    zoo, _ = make(tmp_path, index := FakeIndex())
    path = zoo.path("alpha")
    zoo.verify("alpha")
    path.write_bytes(ALPHA[:-1] + b"X")  # as long as before
    assert zoo.status("alpha") == "ready"
    with pytest.raises(DigestError, match=r"'alpha' is damaged: .*alpha\.bin.*`dynstream models pull alpha` mends it"):
        zoo.verify("alpha")
    zoo.pull("alpha")
    assert path.read_bytes() == ALPHA
    path.write_bytes(b"short")
    assert zoo.status("alpha") == "damaged"
    assert zoo.path("alpha").read_bytes() == ALPHA
    (path.parent / "manifest.json").write_text("{}")
    assert zoo.status("alpha") == "damaged"
    assert zoo.path("alpha").read_bytes() == ALPHA
    assert index.served == 4
    assert len(left(tmp_path)) == 2


def test_force_takes_it_anew(tmp_path: Path) -> None:
    zoo, _ = make(tmp_path, index := FakeIndex())
    zoo.pull("alpha")
    zoo.pull("alpha", force=True)
    assert index.served == 2
    zoo.verify("alpha")


def test_verify_of_what_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    zoo, _ = make(tmp_path)
    with pytest.raises(WeightsError, match=r"'alpha' is not in .*`dynstream models pull alpha`"):
        zoo.verify("alpha")


def test_a_full_disk_is_said_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=len(PACKED)))
    zoo, _ = make(tmp_path, NoIndex())
    with pytest.raises(WeightsError, match=r"the disk of .* is full .*MB are needed.*set DYNSTREAM_CACHE"):
        zoo.path("alpha")


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(entry: Entry, sources: object, folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zoo_module, "convert", full)
    zoo, _ = make(tmp_path)
    with pytest.raises(WeightsError, match=r"the disk of .* is full"):
        zoo.path("alpha")
    assert left(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    zoo, _ = make(tmp_path / "file" / "cache", NoIndex())
    with pytest.raises(WeightsError, match=r"cache .*file/cache cannot be written .*set DYNSTREAM_CACHE"):
        zoo.path("alpha")


def test_import_by_hand(tmp_path: Path) -> None:
    zoo, events = make(tmp_path / "cache", NoIndex(), offline=True)
    source = tmp_path / "renamed.zip"
    source.write_bytes(SCRIPT)
    path = zoo.import_file("fan", source)
    assert path.name == "fan.zip"
    assert path.read_bytes() == SCRIPT
    assert zoo.path("fan") == zoo.path("fan", "fan.zip") == path
    assert zoo.status("fan") == "ready"
    zoo.verify("fan")
    assert "BSD" in events[-1].text
    with pytest.raises(WeightsError, match=r"fan\.pth .*is not in"):
        zoo.path("fan", "fan.pth")


def test_import_of_a_wrong_file_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    zoo, _ = make(cache, NoIndex())
    source = tmp_path / "fan.zip"
    source.write_bytes(SCRIPT + b"x")
    with pytest.raises(DigestError, match=r"fan\.zip has the sha256 .*, expected .*https://example\.org/fan\.zip"):
        zoo.import_file("fan", source)
    for name, message in (
        ("fan.pth", "cannot be read as a torch file"),
        ("fan.doc", "is not one of the files of 'fan'"),
    ):
        other = tmp_path / name
        other.write_bytes(b"not tensors")
        with pytest.raises(WeightsError, match=message):
            zoo.import_file("fan", other)
    with pytest.raises(WeightsError, match=r"missing is not a file; expected fan\.zip"):
        zoo.import_file("fan", tmp_path / "missing")
    assert left(cache) == []


def test_pulling_what_is_by_hand_says_where_it_comes_from(tmp_path: Path) -> None:
    zoo, _ = make(tmp_path, NoIndex())
    for ask in (zoo.pull, zoo.path):
        with pytest.raises(
            WeightsError, match=r"get fan\.zip from https://example\.org/fan\.zip or .*models import fan FILE"
        ):
            ask("fan")


def test_import_of_an_archive_on_a_machine_without_a_network(tmp_path: Path) -> None:
    zoo, _ = make(tmp_path / "cache", NoIndex(), offline=True)
    source = tmp_path / "any-name.whl"
    source.write_bytes(PACKED)
    assert zoo.import_file("alpha", source).read_bytes() == ALPHA
    source.write_bytes(PACKED[:-1])
    with pytest.raises(DigestError, match=r"'beta' is made of tiny-1\.0"):
        zoo.import_file("beta", source)
    assert zoo.status("beta") == "absent"


def test_a_tar_archive(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, content in (("tiny-1.0/../../../evil", b"evil"), ("tiny-1.0/alpha.bin", ALPHA)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    content = buffer.getvalue()
    archive = Archive("tiny", "1.0", "tiny-1.0.tar.gz", len(content), sha256(content))
    entries = {"alpha": entry("alpha", ALPHA, archive=archive, path="tiny-1.0/alpha.bin")}
    zoo, _ = make(tmp_path / "cache", FakeIndex(content), entries=entries)
    assert zoo.path("alpha").read_bytes() == ALPHA
    assert not list(tmp_path.rglob("evil"))


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNSTREAM_CACHE", str(tmp_path / "chosen"))
    assert Zoo().cache == tmp_path / "chosen"
    assert Zoo(tmp_path / "given").cache == tmp_path / "given"
    monkeypatch.delenv("DYNSTREAM_CACHE")
    assert default_cache() == platformdirs.user_cache_path("dynstream")
