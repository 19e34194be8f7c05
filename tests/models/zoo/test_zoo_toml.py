"""zoo.toml itself: every line of it is well formed and can be acted on."""

from collections import Counter
from dataclasses import replace

import pytest

from dynstream.models.zoo.convert import CONVERTERS
from dynstream.models.zoo.entries import ZOO_TOML, Archive, ByHand, Entry, Member, Recipe, read_entries
from dynstream.models.zoo.layouts import LAYOUTS

ENTRIES = read_entries()
RECIPES = {name: entry.recipe for name, entry in ENTRIES.items() if entry.recipe}

PULLED = [
    "mobilestylegan",
    "face-landmarker",
    "bisenet",
    "scrfd",
    "arcface",
    "landmarks-106",
    "dlib-identity",
    "lpips-alexnet",
    "lpips-vgg16",
    "inception",
    "raft",
    "age",
    "gender",
    "sample-clip",
    "minilm",
    "rife",
]
BY_HAND = ["stylegan2-ffhq", "e4e-ffhq", "fan-2d", "s3fd", "clip-vit-b32", "clip-vit-b16", "clip-tokenizer"]


def test_the_names_that_the_code_asks_for() -> None:
    assert list(RECIPES) == PULLED
    assert [name for name, entry in ENTRIES.items() if entry.by_hand] == BY_HAND


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=list(ENTRIES))
def test_entry_can_be_acted_on(entry: Entry) -> None:
    assert entry.use
    assert entry.licence
    assert entry.source.startswith("https://")
    if entry.recipe:
        assert entry.recipe.converter in CONVERTERS
    for item in entry.by_hand:
        assert item.layout in LAYOUTS
        assert item.url.startswith("https://")


def test_non_commercial_use_is_said() -> None:
    assert "NON-COMMERCIAL" in ENTRIES["mobilestylegan"].notice
    assert "CC BY-NC-SA" in ENTRIES["mobilestylegan"].notice
    assert "NON-COMMERCIAL" not in ENTRIES["face-landmarker"].notice


def test_no_file_is_listed_twice() -> None:
    digests = Counter(member.sha256 for recipe in RECIPES.values() for member in recipe.members)
    assert not [digest for digest, count in digests.items() if count > 1]
    archives = {recipe.archive for recipe in RECIPES.values()}
    assert len({archive.file for archive in archives}) == len(archives) == len({a.sha256 for a in archives})


def test_every_archive_of_the_file_is_used() -> None:
    assert ZOO_TOML.read_text("utf-8").count("[archives.") == 1 + len({r.archive for r in RECIPES.values()})


ARCHIVE = Archive("p", "1", "p-1.tar.gz", 5, "0" * 64)
MEMBER = Member("p-1/a", "a", 5, "0" * 64)
RECIPE = Recipe(ARCHIVE, (MEMBER,), "copy", 1, ("a",))
ENTRY = Entry("a-b", "u", "https://s", "MIT", "", False, RECIPE)


@pytest.mark.parametrize(
    ("value", "change", "message"),
    [
        (ARCHIVE, {"sha256": "0" * 63}, "64 lower-case hex"),
        (ARCHIVE, {"sha256": "A" * 64}, "64 lower-case hex"),
        (ARCHIVE, {"bytes": 0}, "above zero"),
        (ARCHIVE, {"file": "p.exe"}, "neither a zip"),
        (MEMBER, {"name": "../a"}, "plain relative"),
        (MEMBER, {"name": "/a"}, "plain relative"),
        (MEMBER, {"name": "c:a"}, "plain relative"),
        (RECIPE, {"files": ("a", "a")}, "unique"),
        (RECIPE, {"members": ()}, "at least one"),
        (RECIPE, {"files": ("x/../../a",)}, "plain relative"),
        (ENTRY, {"name": "A b"}, "lower-case words"),
        (ENTRY, {"recipe": None}, "either an archive or"),
        (ENTRY, {"by_hand": (ByHand("a", "https://u", None, "e4e"),)}, "either an archive or"),
    ],
)
def test_a_malformed_line_is_refused(value: Archive | Member | Recipe | Entry, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(value, **change)


def test_the_fingerprint_follows_whatever_changes_the_files() -> None:
    changed = [
        replace(RECIPE, revision=2),
        replace(RECIPE, converter="task"),
        replace(RECIPE, members=(replace(MEMBER, sha256="1" * 64),)),
    ]
    assert len({recipe.fingerprint for recipe in [RECIPE, *changed]}) == 4
    assert replace(RECIPE, archive=replace(ARCHIVE, sha256="1" * 64)).fingerprint == RECIPE.fingerprint
