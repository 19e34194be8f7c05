"""The plan of a batch: what is made of what, by which edits. All of it is checked before anything starts."""

import csv
import glob
import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from ... import DynstreamError
from ...models.directions.directions import load_directions
from ...models.directions.latent_transformer import load_nonlinear_directions
from ...models.generator.load import GENERATORS
from ...stream.encoding import find_encoder
from ..common.clips import VIDEO_SUFFIXES
from ..common.errors import BatchError, EditError, OptionError
from ..compositing.composite import check_mode
from ..compositing.mark import read_mark
from ..editor.encoder_names import ENCODERS
from ..editor.precision import check_precision
from ..edits.edit import EditSpec
from ..edits.parsing import ReadWords, make_edits, merged, parse_edit, read_preset, read_region
from ..edits.regions import AUTO, parse_region
from ..motion.keyframes import parse_every
from ..motion.retimed_reader import parse_rate
from ..run.transcode import VideoOptions
from ..run.transcode_job import TranscodeJob
from ..tracking.backends import BACKENDS
from ..tracking.face_selection import parse_policy
from . import places

MANIFESTS: Final = (".csv", ".jsonl")
MOST_SHOWN: Final = 10
"""Wrong rows that an error lists."""

Options = Mapping[str, Any]
"""Options of one file by their names in `dynstream.transcode`."""


@dataclass(frozen=True, slots=True)
class Item:
    """One result to make.

    Attributes:
        source, result: absolute local paths, or URLs.
        options: see `Options`; those that are not named have their defaults.
        row: where it comes from, for errors, such as "shots.csv, line 3".
    """

    source: str
    result: str
    edits: tuple[EditSpec, ...]
    options: Options = field(default_factory=dict)
    row: str = ""

    @property
    def key(self) -> str:
        """Name of the result in the ledger and in scratch folders."""
        return hashlib.sha256(self.result.encode(errors="surrogateescape")).hexdigest()[:16]

    def digest(self) -> str:
        """What the result depends on: source, edits and options. A local source that changed gives another one."""
        known = None if places.is_url(self.source) else places.identity(self.source)
        parts = [self.source, known, [repr(spec) for spec in self.edits], sorted(self.options.items())]
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


@cache
def _directions() -> Mapping[str, Any]:
    return load_directions()


@cache
def _nonlinear() -> Mapping[str, Any]:
    return load_nonlinear_directions()


def make_job(item: Item, source: Path, target: Path) -> TranscodeJob:
    """The job of an item on local files. Raises EditError, OptionError and PipelineError for what it asks wrongly."""
    options = dict(item.options)
    video = {name: options.pop(name, None) for name in ("crf", "pix_fmt")}
    rate = options.pop("fps", None)
    preset, codec = options.pop("encoder_preset", None), options.pop("codec", "libx264")
    region = parse_region(str(options.pop("region", AUTO)))
    mark = read_mark(
        options.pop("mark", "none"), *(options.pop(name, None) for name in ("mark_text", "mark_size", "mark_opacity"))
    )
    return TranscodeJob(
        source=source,
        target=target,
        edits=make_edits(item.edits, _directions(), _nonlinear, region),
        rate=None if rate is None else parse_rate(str(rate)),
        video=VideoOptions(codec=codec, preset=preset, **video),
        mark=mark,
        **options,
    )


def _flag(value: object) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}
    text = str(value).lower()
    if text not in known:
        raise OptionError(f"expected true or false, got {value!r}")
    return known[text]


def _one_of(names: Collection[str]) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value not in names:
            raise OptionError(f"expected one of {', '.join(sorted(names))}, got {value!r}")
        return str(value)

    return check


def _policy(value: object) -> str:
    parse_policy(str(value))
    return str(value)


def _region(value: object) -> str:
    parse_region(str(value))
    return str(value)


def _codec(value: object) -> str:
    return find_encoder(str(value)).name


OPTIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "mode": lambda value: check_mode(str(value)),
    "region": _region,
    "faces": _policy,
    "generator": _one_of(GENERATORS),
    "backend": _one_of(BACKENDS),
    "encoder": _one_of(ENCODERS),
    "precision": lambda value: check_precision(str(value)),
    "refine": int,
    "refine_seconds": float,
    "encode_every": lambda value: parse_every(str(value), "encode_every"),
    "draw_every": lambda value: parse_every(str(value), "draw_every"),
    "first_frame_edit": _flag,
    "fps": lambda value: str(parse_rate(str(value))),
    "codec": _codec,
    "crf": float,
    "encoder_preset": str,
    "pix_fmt": str,
    "mark": str,
    "mark_text": str,
    "mark_size": float,
    "mark_opacity": float,
}
"""Option of `dynstream.transcode` -> how its value is read from a manifest."""


def read_options(given: Mapping[str, object]) -> Options:
    """Options checked and of their types; those that are None or empty are left out. Raises OptionError."""
    found = {}
    for name, value in given.items():
        if value is None or value == "":
            continue
        if name not in OPTIONS:
            raise OptionError(f"unknown column {name!r}; known are source, result, edits, {', '.join(OPTIONS)}")
        try:
            found[name] = OPTIONS[name](value)
        except (ValueError, TypeError, DynstreamError) as error:
            raise OptionError(f"{name}: {error}") from error
    return found


def expand(sources: Sequence[str], out: str, suffix: str = "") -> Iterator[dict[str, object]]:
    """Rows for files, globs, folders, URLs and manifests.

    out: folder or URL of the results, which are named as their sources, and lie as they lie in a folder.
    suffix: of the results, such as ".mp4"; "" keeps the source's.
    """
    for source in sources:
        if source.lower().endswith(MANIFESTS):
            yield from _manifest(Path(source), out, suffix)
            continue
        found = list(_files(source))
        if not found:
            raise BatchError(f"{source} names no video; expected files, globs, folders, URLs, or a .csv or .jsonl list")
        for file, name in found:
            yield {"row": file, "source": file, "result": _join(out, _renamed(name, suffix))}


def _renamed(name: str, suffix: str) -> str:
    return os.path.splitext(name)[0] + suffix if suffix else name


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}" if places.is_url(folder) else os.path.join(folder, name)


def _files(source: str) -> Iterator[tuple[str, str]]:
    """(file, its name below the folder) of a source, in order."""
    if places.is_url(source):
        if not glob.has_magic(source.partition("?")[0]):
            yield source, places.name_of(source)
            return
        store, path = places.open_store(source)
        for found in sorted(store.glob(path)):
            yield store.unstrip_protocol(found), places.name_of(found)
    elif os.path.isdir(source):
        for folder, folders, files in os.walk(source):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                if os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES and not name.startswith("."):
                    path = os.path.join(folder, name)
                    yield path, os.path.relpath(path, source)
    elif os.path.exists(source) or not glob.has_magic(source):
        yield source, os.path.basename(source)
    else:
        yield from ((file, os.path.basename(file)) for file in sorted(glob.glob(source, recursive=True)))


def _manifest(path: Path, out: str, suffix: str) -> Iterator[dict[str, object]]:
    """The rows of a manifest. Relative sources are from its folder, relative results from `out`."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            lines = list(_csv(file, path) if path.suffix.lower() == ".csv" else _jsonl(file, path))
    except OSError as error:
        raise BatchError(f"cannot read the manifest {path}: {error.strerror}") from error
    if not lines:
        raise BatchError(f"the manifest {path} has no rows; expected a source in each, and edits")
    for number, row in lines:
        source = row.get("source")
        if not isinstance(source, str) or not source:
            raise BatchError(f"{path}, line {number}: no source; expected a path or URL in the column source")
        result = row.pop("result", None) or _renamed(places.name_of(source), suffix)
        if not places.is_url(source):
            row["source"] = os.path.join(path.parent, source)
        result = str(result) if places.is_url(str(result)) else _join(out, str(result))
        yield row | {"row": f"{path}, line {number}", "result": result}


def _csv(file: Iterable[str], path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    reader = csv.DictReader(file)
    for row in reader:
        if None in row or None in row.values():
            raise BatchError(f"{path}, line {reader.line_num}: expected {len(reader.fieldnames or ())} columns")
        yield reader.line_num, dict(row)


def _jsonl(file: Iterable[str], path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BatchError(f"{path}, line {number}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise BatchError(f'{path}, line {number}: expected an object, such as {{"source": "a.mp4"}}')
        yield number, row


def read_edits(value: object, read_words: ReadWords | None = None) -> tuple[EditSpec, ...]:
    """The edits of a row: "smile=2; age=-1", a list of such texts, {"smile": 2}, a preset's path. Raises EditError."""
    if isinstance(value, Mapping):
        return tuple(parse_edit(f"{name}={strength}") for name, strength in value.items())
    if isinstance(value, str) and "=" not in value:
        return tuple(read_preset(Path(value), read_words))
    texts = value.split(";") if isinstance(value, str) else value
    if not isinstance(texts, Sequence):
        raise EditError(f"expected edits such as 'smile=2; age=-1', got {value!r}")
    named = (text.strip() if isinstance(text, str) else text for text in texts)
    return tuple(text if isinstance(text, EditSpec) else parse_edit(str(text)) for text in named if text)


def region_of(edits: object) -> Options:
    """The option `region` of edits that are a preset which names one; nothing otherwise. Raises EditError."""
    if isinstance(edits, str) and edits and "=" not in edits:
        region = read_region(Path(edits))
        return {} if region == AUTO else {"region": region}
    return {}


def make_plan(
    rows: Iterable[Mapping[str, object]],
    edits: Sequence[EditSpec] = (),
    options: Options | None = None,
    read_words: ReadWords | None = None,
) -> list[Item]:
    """The items of rows with `source` and `result`, and by choice `edits`, `text` and options, checked together.

    edits, options: of rows that bring none of their own. read_words: reads the column `text`, edits in words, over
    which those of the same row go.

    Raises BatchError that lists what is wrong, with the row of each: an unknown edit or option, two rows with one
    result, a result that is a source.
    """
    items: list[Item] = []
    wrong: list[str] = []
    for row in rows:
        given = dict(row)
        name = str(given.pop("row", ""))
        source, result, own = given.pop("source"), given.pop("result"), given.pop("edits", None)
        words = given.pop("text", None)
        try:
            chosen = read_edits(own, read_words) if own else () if words else tuple(edits)
            item = Item(
                source=places.absolute(str(source)),
                result=places.absolute(str(result)),
                edits=merged(_in_words(words, read_words), chosen),
                options={**(options or {}), **region_of(own), **read_options(given)},
                row=name,
            )
            make_job(item, Path(item.source), Path(item.result))
            _check_places(item)
            items.append(item)
        except DynstreamError as error:
            wrong.append(f"{name}: {error}")
    wrong += _clashes(items)
    if wrong:
        shown = "\n".join(wrong[:MOST_SHOWN])
        more = f"\nand {len(wrong) - MOST_SHOWN} more" if len(wrong) > MOST_SHOWN else ""
        raise BatchError(f"nothing was started, since {len(wrong)} of the files cannot be made:\n{shown}{more}")
    return items


def _in_words(words: object, read_words: ReadWords | None) -> Sequence[EditSpec]:
    if not words:
        return ()
    if read_words is None or not isinstance(words, str):
        raise EditError(f"text is {words!r}; expected words, such as 'older, with glasses'")
    return read_words([words])


def _check_places(item: Item) -> None:
    suffix = os.path.splitext(places.name_of(item.result))[1]
    if not suffix:
        raise OptionError(f"the result {item.result} has no suffix; expected one such as .mp4")
    if item.result.startswith(("http://", "https://")):
        raise OptionError(f"the result {item.result}: nothing can be written over HTTP; name a folder or a store")
    if not places.is_url(item.source) and not os.path.isfile(item.source):
        raise OptionError(f"the source {item.source} is not there, or is no file")


def _clashes(items: Sequence[Item]) -> Iterator[str]:
    sources = {item.source: item for item in items}
    results: dict[str, Item] = {}
    for item in items:
        if item.result in results:
            yield f"{item.row}: the result {item.result} is also that of {results[item.result].row}; name another"
        results.setdefault(item.result, item)
        if item.result in sources:
            yield f"{item.row}: the result {item.result} is a source ({sources[item.result].row}); name another"
