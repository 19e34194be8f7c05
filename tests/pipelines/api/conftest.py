"""The public API without networks: fakes in their place, and their directions."""

from pathlib import Path

import pytest

from dynstream.models.directions import directions as directions_module
from dynstream.pipelines.editor import load as load_module
from dynstream.pipelines.editor.face_editor import FaceEditor
from dynstream.pipelines.edits.edit import Edits

from .. import fakes


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, object]]:
    """Puts the fakes in the networks' place; the list gets what was asked for."""
    calls: list[dict[str, object]] = []

    def load_editor(zoo: object, edits: Edits, *, mode: str = "detail", **options: object) -> FaceEditor:
        calls.append({"edits": edits.specs, "mode": mode, **options})
        editor = fakes.editor(mode=mode)
        editor.edits = edits
        return editor

    monkeypatch.setattr(load_module, "load_editor", load_editor)
    monkeypatch.setattr(directions_module, "load_directions", lambda: fakes.DIRECTIONS)
    monkeypatch.setenv("DYNSTREAM_CACHE", str(tmp_path / "cache"))
    return calls
