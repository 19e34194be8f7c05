"""`dynstream doctor`: its lines, its JSON and its exit status."""

import json
from dataclasses import replace
from typing import Any

import pytest

from dynstream.cli.main import main
from dynstream.pipelines.doctor import machine as machine_module

from ..pipelines.doctor.test_checks import healthy


def run(*arguments: str) -> int:
    try:
        main(["doctor", *arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(**changes: Any) -> None:
        monkeypatch.setattr(machine_module, "Machine", lambda: replace(healthy(), **changes))

    use()
    return use


def test_a_sound_machine_is_status_0(machine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    out = capsys.readouterr().out
    assert "0 warn, 0 fail" in out
    assert "ok   GPU" in out
    assert "port 8080" in out


def test_a_warning_is_status_0_and_shows_its_command_whole(
    machine: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    machine(virtual_devices=lambda: [])
    assert run() == 0
    out = capsys.readouterr().out
    assert "warn virtual camera" in out
    assert any("-> " in line and "sudo modprobe v4l2loopback devices=1" in line for line in out.splitlines())


def test_a_failure_is_status_1(machine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    machine(python=(3, 9))
    assert run() == 1
    assert "fail Python" in capsys.readouterr().out


@pytest.mark.parametrize(("python", "status", "level"), [((3, 11), 0, "ok"), ((3, 9), 1, "fail")])
def test_json_holds_every_finding(
    python: tuple[int, int], status: int, level: str, machine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    machine(python=python)
    assert run("--json", "--port", "9000", "--udp-ports", "4000-4003") == status
    report = json.loads(capsys.readouterr().out)
    assert report["level"] == level
    names = [finding["name"] for finding in report["findings"]]
    assert {"Python", "port 9000", "UDP 4000-4003"} <= set(names)
    assert all(set(finding) == {"name", "level", "found", "mend"} for finding in report["findings"])


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--udp-ports", "x"], ["--port", "many"]])
def test_wrong_ports_are_status_2(arguments: list[str], machine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert arguments[0] in capsys.readouterr().err
