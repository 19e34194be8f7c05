"""Commands whose packages a plain installation lacks say so at once: one line, status 2."""

import sys
from pathlib import Path

import pytest

from dynstream.cli.main import main
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.common.extra import need_research

TENSORBOARD, MATPLOTLIB = "tensorboard", "matplotlib"
CASES = [
    (TENSORBOARD, ["train", "tail"]),
    (TENSORBOARD, ["train", "encoder", "--data", "."]),
    (TENSORBOARD, ["train", "visibility", "--data", "."]),
    (TENSORBOARD, ["train", "recurrent", "--data", "."]),
    (TENSORBOARD, ["train", "latent-transformer"]),
    ("sklearn", ["train", "dynamics", "--data", "."]),
    (MATPLOTLIB, ["directions", "measure"]),
    (MATPLOTLIB, ["results", "write"]),
    (MATPLOTLIB, ["results", "run", "--no-sample"]),
    (MATPLOTLIB, ["evaluate", "source.mp4", "result.mp4", "--html", "report.html"]),
]


@pytest.mark.parametrize(("module", "arguments"), CASES, ids=[" ".join(case[1][:2]) for case in CASES])
def test_a_command_without_the_extra(
    module: str,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DYNSTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"Error: this needs {module}: pip install 'dynstream[research]'\n"
    assert list(tmp_path.iterdir()) == []


def test_every_missing_module_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (TENSORBOARD, "sklearn"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PipelineError, match="this needs tensorboard and sklearn:"):
        need_research(TENSORBOARD, MATPLOTLIB, "sklearn")
    need_research(MATPLOTLIB)
