"""What lies in front of a face that is edited: counted where it changes, and where the face is not edited at all."""

import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.bench.overlays import bench_overlays, overlays_document

from ...fakes import editor, frames, scene


def test_an_editor_that_sees_nothing_in_front_changes_it() -> None:
    clip = frames([scene()] * 2)
    none, sticker = bench_overlays([clip], editor("smile=1"), seeds=2, kinds=["sticker"])
    assert (none.kind, none.frames, none.changed, none.passed) == ("none", 2, 0.0, 0.0)
    assert (sticker.kind, sticker.frames) == ("sticker", 4)
    assert 0 < sticker.changed <= 1
    (table,) = overlays_document([none, sticker], "smile=1", []).tables
    assert [row.name for row in table.rows] == ["none", "sticker"]


def test_a_clip_without_a_face_is_said() -> None:
    with pytest.raises(PipelineError, match="shows no face"):
        bench_overlays([frames([scene(None)])], editor("smile=1"))
