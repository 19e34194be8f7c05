import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dynstream.cli.main import main


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["serve", *arguments])
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return " ".join((said.out + said.err).split())


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    said = capsys.readouterr().out
    for word in ("--token-file", "--udp-ports", "--engine stand-in", "--no-watermark"):
        assert word in said


def test_what_cannot_be_is_refused_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "--insecure" in refused(capsys, "--host", "0.0.0.0")
    short = tmp_path / "short"
    short.write_text("short")
    short.chmod(0o600)
    assert "at least 16" in refused(capsys, "--token-file", str(short))
    assert "No such option" in refused(capsys, "--token", "in the list of processes")
    assert "expected 50 to 5000" in refused(capsys, "--max-latency", "-5")
    assert "WIDTHxHEIGHT" in refused(capsys, "--max-source", "8K")
    assert "an address or a network" in refused(capsys, "--trusted-proxy", "nginx")
    assert "text or json" in refused(capsys, "--log-format", "xml")
    assert "FIRST-LAST" in refused(capsys, "--udp-ports", "5")
    assert "--turn-secret-file" in refused(capsys, "--ice-server", "turn:example.org")
    assert "cannot be read" in refused(capsys, "--token-file", str(tmp_path / "none"))
    assert "a folder" in refused(capsys, "--presets", str(tmp_path / "none"))
    assert "face or stand-in" in refused(capsys, "--engine", "magic")
    assert "--bitrate" in refused(capsys, "--bitrate", "99")
    assert "--portrait FILE" in refused(capsys, "--drawn-person")
    assert "landmarks, scores" in refused(capsys, "--portrait", "p.png", "--portrait-method", "codes")
    assert "--engine face" in refused(capsys, "--portrait", "p.png", "--engine", "stand-in")
    assert "--i-am-the-subject" in refused(capsys, "--portrait", "p.png")
    certificate = tmp_path / "cert.pem"
    certificate.write_text("nothing")
    arguments = ("--engine", "stand-in", "--tls-cert", str(certificate), "--tls-key", str(certificate), "--port", "0")
    assert "PEM" in refused(capsys, *arguments)


def test_a_port_that_is_taken_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"cannot listen on 127.0.0.1:{port}" in refused(capsys, "--engine", "stand-in", "--port", port)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_end(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "dynstream", "serve", "--engine", "stand-in", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = []
        while "Ready" not in "".join(said[-1:]):
            said.append(process.stderr.readline())
            assert said[-1], said
        process.send_signal(number)
        assert process.wait(60) == 0
        assert process.stderr.read().strip() == "Stopped."
    finally:
        process.kill()
        process.communicate()


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Told by what is refused: the value that counts is named."""
    file = tmp_path / "serve.toml"
    file.write_text("max-latency = 11\nengine = 'stand-in'\n")
    assert "--max-latency 11:" in refused(capsys, "--config", str(file))
    monkeypatch.setenv("DYNSTREAM_SERVE_MAX_LATENCY", "22")
    assert "--max-latency 22:" in refused(capsys, "--config", str(file))
    assert "--max-latency 33:" in refused(capsys, "--config", str(file), "--max-latency", "33")
    monkeypatch.setenv("DYNSTREAM_SERVE_CONFIG", str(file))
    monkeypatch.delenv("DYNSTREAM_SERVE_MAX_LATENCY")
    assert "--max-latency 11:" in refused(capsys)
    file.write_text("max-latency = 400\nhost = '0.0.0.0'\n")
    monkeypatch.setenv("DYNSTREAM_TOKEN", "short")
    assert "at least 16" in refused(capsys)
