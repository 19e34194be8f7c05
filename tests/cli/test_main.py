"""The command tree: errors, exit statuses, help and version."""

import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

from dynstream import __version__
from dynstream.cli import main as main_module
from dynstream.cli.main import COMMANDS, SUMMARIES, main
from dynstream.models.errors import DigestError
from dynstream.pipelines.common.errors import EditError
from dynstream.stream.errors import SourceError


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return int(stop.value.code or 0)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A command `fail` that raises what the test puts into the module's `error`."""
    module = ModuleType("dynstream.cli.fail")

    def command() -> None:
        """Fails."""
        raise module.error

    module.command = command  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dynstream.cli.fail", module)
    monkeypatch.setitem(COMMANDS, "fail", "fail")
    return module


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"dynstream {__version__}\n"


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("error", [SourceError, DigestError, EditError])
def test_a_user_error_is_one_paragraph_and_status_2(
    failing: ModuleType, error: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.error = error("clip.mp4 is empty [bold]; give another " + "x" * 200)
    assert run("fail") == 2
    captured = capsys.readouterr()
    assert captured.err == f"Error: {failing.error}\n"
    assert captured.out == ""


def test_a_fault_of_our_own_keeps_its_traceback(failing: ModuleType) -> None:
    failing.error = ZeroDivisionError("bug")
    with pytest.raises(ZeroDivisionError):
        main(["fail"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Exit(130)])
def test_an_interruption_is_one_line_and_status_130(
    failing: ModuleType, error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    failing.error = error
    assert run("fail") == 130
    assert capsys.readouterr().err == "Interrupted\n"


def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "pull", "--nonsense") == 2
    assert "--nonsense" in capsys.readouterr().err


PROCESS = """
import os, signal, sys, types
from dynstream.cli import main

def command():
    if sys.argv[1] == "interrupted":
        os.kill(os.getpid(), signal.SIGINT)
    1 / 0

sys.modules["dynstream.cli.fail"] = types.SimpleNamespace(command=command)
main.COMMANDS["fail"] = "fail"
main.main(["fail"])
"""


@pytest.mark.parametrize(("how", "status", "said"), [("interrupted", 130, "Interrupted"), ("bug", 1, "Traceback")])
def test_statuses_of_a_real_process(how: str, status: int, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROCESS, how], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith(said)


def test_help_imports_nothing_slow() -> None:
    code = (
        "import sys\nfrom dynstream.cli.main import main\ntry:\n main(['--help'])\nexcept SystemExit:\n pass\n"
        "print(*sorted({'torch', 'numpy', 'cv2', 'av', 'requests', 'onnxruntime'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}
    )
    assert done.stderr.strip() == ""


def test_help_imports_no_command() -> None:
    code = (
        "import sys\nfrom dynstream.cli.main import COMMANDS, main\n"
        "try:\n main(['--help'])\nexcept SystemExit:\n pass\n"
        "print(*{f'dynstream.cli.{name}' for name in COMMANDS.values()} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == ""


def test_summaries_are_the_first_paragraphs_of_the_helps() -> None:
    app = main_module.build()
    helps = {group.name: group.typer_instance.info.help for group in app.registered_groups if group.typer_instance}
    helps |= {command.name: inspect.getdoc(command.callback) for command in app.registered_commands}
    assert {name: (text or "").partition("\n\n")[0] for name, text in helps.items()} == SUMMARIES


def test_every_command_is_found() -> None:
    app = main_module.build()
    names = {group.name for group in app.registered_groups} | {command.name for command in app.registered_commands}
    assert names == set(COMMANDS)


def test_closed_descriptors_are_not_given_to_files(tmp_path: Path) -> None:
    """A result that got the number of standard error would have messages in it."""
    code = (
        "import os, sys\n"
        "for number in range(3): os.close(number)\n"
        "sys.stdin = sys.stdout = sys.stderr = None\n"
        "from dynstream.cli.main import main\n"
        "try: main(['no-such-command'])\n"
        "except SystemExit as stop: status = stop.code\n"
        "with open(sys.argv[1], 'w') as file: file.write(f'{status} {file.fileno() > 2}')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "said")], check=True)
    assert (tmp_path / "said").read_text() == "2 True"


def test_threads_of_the_networks_rest_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"]) == ("ACTIVE", "0")
    monkeypatch.setenv("GOMP_SPINCOUNT", "0")
