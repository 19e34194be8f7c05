"""The Python in the README and in the guide for Python runs as it stands there."""

import re
from itertools import islice
from pathlib import Path

import pytest

import dynstream
from dynstream.models.zoo.zoo import Zoo

from .pipelines.fakes import write_clip

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_its_python_runs(
    page: str, zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [frame.pixels for frame in islice(dynstream.read(zoo.path("sample-clip")), 2)]
    write_clip(tmp_path / "in.mp4", pictures, pix_fmt="yuv420p")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert blocks
    exec(compile("\n".join(blocks), page, "exec"), {})
    assert "2/2 frames, " in capsys.readouterr().out
    assert len(list(dynstream.read("out.mp4"))) == 2
