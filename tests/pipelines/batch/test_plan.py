"""The plan names every result before anything starts, and says of every wrong row what is wrong with it."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from dynstream.pipelines.batch.plan import Item, expand, make_job, make_plan, read_edits, read_options
from dynstream.pipelines.common.errors import BatchError, EditError, OptionError
from dynstream.pipelines.edits.edit import EditSpec
from dynstream.pipelines.edits.parsing import parse_edit

SMILE = (parse_edit("smile=2"),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.mp4", "b [final].MOV", "deep/c.mkv", "notes.txt", ".hidden.mp4"):
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
    return tmp_path / "in"


def names(items: list[Item], out: Path) -> list[str]:
    return [os.path.relpath(item.result, out) for item in items]


def test_files_globs_and_folders(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    whole = make_plan(expand([str(folder)], str(out)), SMILE)
    assert names(whole, out) == ["a.mp4", "b [final].MOV", "deep/c.mkv"]
    some = make_plan(expand([f"{folder}/*.mp4", f"{folder}/b [final].MOV"], str(out), ".mkv"), SMILE)
    assert names(some, out) == ["a.mkv", "b [final].mkv"]
    assert some[0].edits == SMILE
    for missing in ("none/*.mp4", str(tmp_path / "in" / "deep" / "none")):
        with pytest.raises(BatchError, match=r"names no video|cannot be made"):
            make_plan(expand([missing], str(out)), SMILE)


def test_a_csv_list(folder: Path, tmp_path: Path) -> None:
    path = folder / "list.csv"
    path.write_text(
        'source,result,edits,crf,first_frame_edit\na.mp4,x/one.mp4,"smile=1; age=0:2@3s",20,\n'
        'deep/c.mkv,,smile=-1,,yes\n"b [final].MOV","two\nlines.mp4",,,\n'
    )
    items = make_plan(expand([str(path)], str(tmp_path / "out")), SMILE, {"faces": "1", "crf": 15.0})
    assert names(items, tmp_path / "out") == ["x/one.mp4", "c.mkv", "two\nlines.mp4"]
    assert [[spec.name for spec in item.edits] for item in items] == [["smile", "age"], ["smile"], ["smile"]]
    assert items[0].options == {"faces": "1", "crf": 20.0}
    assert items[1].options == {"faces": "1", "crf": 15.0, "first_frame_edit": True}
    assert items[2].source == str(folder / "b [final].MOV")
    job = make_job(items[0], Path("in.mp4"), Path("out.mp4"))
    assert (job.faces, job.video.crf, job.edits.specs[1].end) == ("1", 20.0, 2.0)


def test_a_jsonl_list_with_any_name(folder: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(b"odd \xff\n.mp4")
    (folder / odd).touch()
    rows: list[dict[str, object]] = [
        {"source": odd, "edits": {"smile": 1}},
        {"source": str(folder / "a.mp4"), "result": "memory://store/a.mp4", "edits": ["smile=2", "age=1"]},
    ]
    path = folder / "list.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    items = make_plan(expand([str(path)], str(tmp_path / "out")))
    assert items[0].source == str(folder / odd)
    assert items[0].result == str(tmp_path / "out" / odd)
    assert items[1].result == "memory://store/a.mp4"
    assert len({item.key for item in items}) == 2
    assert items[0].digest() != items[1].digest()


def test_edits_in_words(folder: Path, tmp_path: Path) -> None:
    path = folder / "list.csv"
    path.write_text("source,edits,text\na.mp4,,older\na.mp4,smile=1,older with a smile\na.mp4,,\n")
    names = iter(("one.mp4", "two.mp4", "three.mp4"))
    rows = [{**row, "result": str(tmp_path / next(names))} for row in expand([str(path)], str(tmp_path))]

    def read_words(texts: Sequence[str]) -> list[EditSpec]:
        return [EditSpec("age", 2, 2), *([EditSpec("smile", 2, 2)] if "smile" in texts[0] else [])]

    items = make_plan(rows, SMILE, read_words=read_words)
    assert [{spec.name: spec.start for spec in item.edits} for item in items] == [
        {"age": 2}, {"age": 2, "smile": 1}, {spec.name: spec.start for spec in SMILE},
    ]  # fmt: skip
    with pytest.raises(BatchError, match="text is 'older'"):
        make_plan(rows, SMILE)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "has no rows"),
        ("source\n", "has no rows"),
        ("source,edits\na.mp4,smlie=2\n", "line 2: unknown edit 'smlie'.*did you mean 'smile'"),
        ("source,edits\na.mp4,smile\n", "line 2: cannot read the preset"),
        ("source,edits\n,smile=1\n", "line 2: no source"),
        ("source\na.mp4\n", "line 2: nothing to do"),
        ("source,edits,colour\na.mp4,smile=1,red\n", "line 2: unknown column 'colour'; known are source"),
        ("source,edits,mode\na.mp4,smile=1,paste\n", "line 2: mode: unknown mode 'paste'"),
        ("source,edits,generator\na.mp4,smile=1,big\n", "line 2: generator: expected one of mobilestylegan"),
        ("source,edits,codec\na.mp4,smile=1,h999\n", "line 2: codec: unknown video encoder"),
        ("source,edits,refine\na.mp4,smile=1,many\n", "line 2: refine: invalid literal"),
        ("source,edits,refine,first_frame_edit\na.mp4,smile=1,5,yes\n", "line 2: --first-frame-edit follows"),
        ("source,edits\nnone.mp4,smile=1\n", "line 2: the source .*none.mp4 is not there"),
        ("source,edits\na.mp4\n", "line 2: expected 2 columns"),
        ("source,result,edits\na.mp4,x,smile=1\n", "line 2: the result .*x has no suffix"),
        ("source,result,edits\na.mp4,http://x/y.mp4,smile=1\n", "line 2: .*nothing can be written over HTTP"),
        ("source,result,edits\na.mp4,x.mp4,smile=1\ndeep/c.mkv,y/../x.mp4,age=1\n", "line 3: .*also that of .*line 2"),
        ("source,result,edits\na.mp4,../in/a.mp4,smile=1\n", "line 2: the result .*a.mp4 is a source"),
    ],
)
def test_a_wrong_row_is_told_before_anything_starts(folder: Path, tmp_path: Path, lines: str, message: str) -> None:
    path = folder / "list.csv"
    path.write_text(lines)
    with pytest.raises(BatchError, match=message):
        make_plan(expand([str(path)], str(tmp_path / "out")))


def test_all_wrong_rows_are_told_at_once(folder: Path, tmp_path: Path) -> None:
    path = folder / "list.jsonl"
    path.write_text('{"source": "a.mp4", "edits": "smlie=1"}\n' * 14)
    with pytest.raises(BatchError, match=r"14 of the files cannot be made:\n(.*\n){10}and 4 more"):
        make_plan(expand([str(path)], str(tmp_path)))
    path.write_text('{"source": \n')
    with pytest.raises(BatchError, match="line 1: not JSON"):
        make_plan(expand([str(path)], str(tmp_path)))


def test_edits_and_options_of_a_row(tmp_path: Path) -> None:
    preset = tmp_path / "older.toml"
    preset.write_text('[edits]\nage = "0:2@3s"\n')
    assert read_edits(str(preset)) == (parse_edit("age=0:2@3s"),)
    assert read_edits([parse_edit("age=1"), "smile=2"]) == (parse_edit("age=1"), parse_edit("smile=2"))
    assert read_edits({"smile": "0:2@3s"}) == (parse_edit("smile=0:2@3s"),)
    with pytest.raises(EditError, match="expected edits such as"):
        read_edits(5)
    assert read_options({"fps": 60, "faces": 2, "encode_every": "auto", "crf": ""}) == {
        "fps": "60", "faces": "2", "encode_every": "auto",
    }  # fmt: skip
    with pytest.raises(OptionError, match="first_frame_edit: expected true or false, got 'perhaps'"):
        read_options({"first_frame_edit": "perhaps"})


def test_the_region_of_a_preset_or_of_a_row_reaches_the_job(folder: Path, tmp_path: Path) -> None:
    preset, path = tmp_path / "head.toml", tmp_path / "list.csv"
    preset.write_text('region = "head"\n[edits]\nsmile = 1\n')
    path.write_text(
        f"source,result,edits,region\n{folder / 'a.mp4'},1.mp4,{preset},\n{folder / 'a.mp4'},2.mp4,{preset},face\n"
        f"{folder / 'a.mp4'},3.mp4,smile=1,\n"
    )
    items = make_plan(expand([str(path)], str(tmp_path / "out")))
    regions = [make_job(item, Path(item.source), Path(item.result)).edits.region for item in items]
    assert regions == ["head", "face", None]
    with pytest.raises(OptionError, match="region: unknown region 'body'; expected one of auto, face, hair, head"):
        read_options({"region": "body"})


def test_the_digest_follows_the_source_the_edits_and_the_options(folder: Path) -> None:
    item = Item(str(folder / "a.mp4"), "r.mp4", SMILE)
    others = [Item(item.source, "r.mp4", (parse_edit("smile=1"),)), Item(item.source, "r.mp4", SMILE, {"crf": 3})]
    before = item.digest()
    (folder / "a.mp4").write_bytes(b"new")
    assert len({before, item.digest(), *(other.digest() for other in others)}) == 4
