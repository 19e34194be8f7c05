"""Every check both ways: a machine that has everything, and each thing that it may lack."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dynstream.models.errors import DigestError
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.doctor import machine as machine_module
from dynstream.pipelines.doctor.examine import Wishes, checks, examine, parse_udp_ports
from dynstream.pipelines.doctor.finding import Finding, worst
from dynstream.pipelines.doctor.gstreamer import Problem
from dynstream.pipelines.doctor.machine import SHIPPED, Gpu, Machine
from dynstream.stream.camera_devices import CameraDevice

REQUIREMENTS = ["torch>=2.6", "av>=18", "numpy>=2", 'pyvirtualcam>=0.12; extra == "webcam"']
VERSIONS: dict[str, str] = {"torch": "2.13.0+cpu", "av": "18.1.0", "numpy": "2.4.6", "pyvirtualcam": "0.15.0"}
GIB = 1 << 30


class FakeZoo:
    """Entries by name with their status; those in `rotten` fail when they are read."""

    cache = Path("/cache/dynstream")

    def __init__(self, rotten: tuple[str, ...] = (), **status: str) -> None:
        names = {"mobilestylegan": "ready", "face-landmarker": "ready", "arcface": "absent", "stylegan2-ffhq": "absent"}
        self._status = {**names, **{name.replace("_", "-"): value for name, value in status.items()}}
        self._rotten = rotten
        self.entries = {name: FakeEntry(recipe=name != "stylegan2-ffhq") for name in names}

    def status(self, name: str) -> str:
        return self._status[name]

    def verify(self, name: str) -> None:
        if name in self._rotten:
            raise DigestError(
                f"{name!r} is damaged: g.safetensors has another digest; `dynstream models pull` mends it"
            )


class FakeEntry:
    def __init__(self, recipe: bool) -> None:
        self.recipe = recipe


def healthy(**changes: Any) -> Machine:
    """A Linux machine that has everything, but for what is changed."""
    sound = Machine(
        platform="linux",
        python=(3, 11),
        requirements=lambda: REQUIREMENTS,
        version=VERSIONS.get,
        environment=lambda _name: None,
        processor=lambda: "Test CPU",
        cores=lambda: 4,
        threads=lambda: 4,
        precision=lambda _cache: "networks run in float32",
        cpu_capability=lambda: "AVX2",
        gpu=lambda: Gpu("cuda", "Test GPU", 24 * GIB),
        cuda_build=lambda: "12.8",
        has_nvidia=lambda: True,
        ffmpeg=lambda: "7.1",
        has_codec=lambda _name, _mode: True,
        cameras=lambda: [CameraDevice("/dev/video0", "Desk Cam"), CameraDevice("/dev/video9", "loop", virtual=True)],
        pyvirtualcam=lambda: None,
        virtual_devices=lambda: ["/dev/video9"],
        may_write=lambda _path: True,
        obs_installed=lambda: True,
        gstreamer=lambda: None,
        tcp_error=lambda _port: None,
        udp_error=lambda _port: None,
        free_disk=lambda _folder: 50 * GIB,
        writable=lambda _folder: True,
        available_memory=lambda: 8 * GIB,
        shipped=lambda: list(SHIPPED),
        zoo=FakeZoo(),  # type: ignore[arg-type]
    )
    return replace(sound, **changes)


def found(machine: Machine, wishes: Wishes | None = None) -> dict[str, Finding]:
    findings = list(examine(machine, wishes or Wishes()))
    assert len({finding.name for finding in findings}) == len(findings)
    return {finding.name: finding for finding in findings}


def without(*names: str) -> Any:
    return lambda name, _mode: name not in names


def boom(*_arguments: object) -> Any:
    raise ZeroDivisionError("boom")


def test_a_machine_that_has_everything_is_all_ok() -> None:
    findings = found(healthy())
    assert {finding.level for finding in findings.values()} == {"ok"}
    assert findings["GPU"].found == "Test GPU (cuda, 24 GiB)"
    assert findings["cameras"].found == "Desk Cam (/dev/video0)"
    assert findings["packages"].found == "all 3 are here (torch 2.13.0+cpu, av 18.1.0, numpy 2.4.6)"
    assert findings["extra webcam"].found == "pyvirtualcam 0.15.0"


def versions(**changes: str | None) -> Any:
    return {**VERSIONS, **changes}.get


CASES: list[tuple[dict[str, Any], str, str, str]] = [
    ({"python": (3, 9)}, "Python", "fail", "install Python 3.11"),
    ({"version": versions(av=None)}, "package av", "fail", "pip install --upgrade 'av>=18'"),
    ({"version": versions(av="17.0.1")}, "package av", "fail", "pip install --upgrade 'av>=18'"),
    ({"version": versions(torch="2.10.0")}, "packages", "ok", ""),
    ({"version": versions(pyvirtualcam=None)}, "extra webcam", "ok", "pip install 'dynstream[webcam]'"),
    ({"ffmpeg": lambda: None}, "ffmpeg", "warn", "apt-get install ffmpeg"),
    ({"ffmpeg": lambda: None, "platform": "darwin"}, "ffmpeg", "warn", "brew install ffmpeg"),
    ({"ffmpeg": lambda: None, "platform": "win32"}, "ffmpeg", "warn", "winget"),
    ({"has_codec": without("libx264")}, "codecs of PyAV", "fail", "--force-reinstall"),
    ({"has_codec": without("libvpx")}, "codecs of PyAV", "warn", "--codec"),
    ({"cpu_capability": lambda: "DEFAULT"}, "processor", "warn", "2014"),
    ({"cores": lambda: 1, "threads": lambda: 1}, "processor", "warn", "two cores"),
    ({"threads": lambda: 1, "environment": lambda _name: "1"}, "threads", "warn", "unset OMP_NUM_THREADS"),
    ({"threads": lambda: 1}, "threads", "warn", "export OMP_NUM_THREADS=4"),
    ({"gpu": lambda: None, "cuda_build": lambda: None}, "GPU", "warn", "CUDA index"),
    ({"gpu": lambda: None}, "GPU", "warn", "nvidia-smi"),
    ({"gpu": lambda: None, "has_nvidia": lambda: False}, "GPU", "ok", ""),
    ({"gpu": lambda: Gpu("mps", "arm")}, "GPU", "ok", ""),
    ({"available_memory": lambda: GIB // 2}, "memory", "fail", "close other programs"),
    ({"available_memory": lambda: GIB * 3 // 2}, "memory", "warn", "close other programs"),
    ({"available_memory": lambda: None}, "memory", "ok", ""),
    ({"free_disk": lambda _folder: 1 << 20}, "weight cache", "fail", "DYNSTREAM_CACHE"),
    ({"free_disk": lambda _folder: GIB}, "weight cache", "warn", "DYNSTREAM_CACHE"),
    ({"writable": lambda _folder: False}, "weight cache", "fail", "DYNSTREAM_CACHE"),
    ({"shipped": lambda: ["encoder.safetensors"]}, "own weights", "fail", "--force-reinstall dynstream"),
    ({"zoo": FakeZoo(mobilestylegan="absent")}, "weights mobilestylegan", "warn", "models pull mobilestylegan"),
    ({"zoo": FakeZoo(mobilestylegan="damaged")}, "weights mobilestylegan", "fail", "models pull mobilestylegan"),
    ({"zoo": FakeZoo(arcface="damaged")}, "weights arcface", "fail", "models pull arcface"),
    ({"zoo": FakeZoo(stylegan2_ffhq="damaged")}, "weights stylegan2-ffhq", "fail", "models import stylegan2-ffhq FILE"),
    ({"cameras": lambda: []}, "cameras", "warn", "usermod -aG video"),
    ({"cameras": lambda: [CameraDevice("x", "loop", virtual=True)]}, "cameras", "warn", "dynstream webcam test"),
    (
        {"pyvirtualcam": lambda: "pyvirtualcam is not installed: pip install 'dynstream[webcam]'"},
        "virtual camera", "warn", "pip install 'dynstream[webcam]'",
    ),
    ({"virtual_devices": lambda: []}, "virtual camera", "warn", "modprobe v4l2loopback"),
    ({"may_write": lambda _path: False}, "virtual camera", "warn", "usermod -aG video"),
    ({"platform": "darwin", "obs_installed": lambda: False}, "virtual camera", "warn", "brew install --cask obs"),
    ({"platform": "win32", "obs_installed": lambda: False}, "virtual camera", "warn", "OBSProject.OBSStudio"),
    ({"platform": "win32"}, "virtual camera", "ok", ""),
    (
        {"gstreamer": lambda: Problem("no loader of Python plugins", "sudo apt-get install the-loader")},
        "GStreamer", "warn", "sudo apt-get install the-loader",
    ),
    ({"tcp_error": lambda _port: "taken"}, "port 8080", "warn", "ss -ltnp 'sport = :8080'"),
    ({"tcp_error": lambda _port: "taken", "platform": "darwin"}, "port 8080", "warn", "lsof -iTCP:8080"),
    ({"udp_error": lambda _port: "Operation not permitted"}, "UDP", "fail", "--udp-ports"),
    ({"processor": boom}, "processor", "warn", "report"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "name", "level", "mend"), CASES, ids=[f"{c[1]} {i}" for i, c in enumerate(CASES)])
def test_what_is_missing_is_found_with_what_mends_it(changes: Any, name: str, level: str, mend: str) -> None:
    findings = found(healthy(**changes))
    assert findings[name].level == level, findings[name]
    assert mend in findings[name].mend
    others = {other.level for key, other in findings.items() if key != name}
    assert others == {"ok"}  # one thing is missing, and one is told


def test_every_check_has_a_case() -> None:
    told = {name.split()[0] for _, name, _, _ in CASES}
    assert {name.split()[0] for name in found(healthy())} - {"weights"} <= told | {"extra"}
    assert set(checks(Wishes())) >= {"Python", "codecs", "GPU", "weights", "virtual camera", "port", "UDP"}


def test_verifying_reads_the_files_and_names_the_damaged_one() -> None:
    rotten = healthy(zoo=FakeZoo(rotten=("mobilestylegan",)))
    assert found(rotten)["weights mobilestylegan"].level == "ok"
    told = found(rotten, Wishes(verify=True))
    assert told["weights mobilestylegan"].level == "fail"
    assert told["weights mobilestylegan"].found == "'mobilestylegan' is damaged: g.safetensors has another digest"
    assert told["weights face-landmarker"].found == "verified"
    assert told["weights"].found.startswith("1 of 4")


def test_a_range_of_udp_ports_is_counted() -> None:
    wishes = Wishes(udp=(4000, 4009))
    assert found(healthy(), wishes)["UDP 4000-4009"].found == "10 free"
    some = found(healthy(udp_error=lambda port: "taken" if port < 4003 else None), wishes)["UDP 4000-4009"]
    assert (some.level, some.found) == ("warn", "7 free, 3 not (taken)")
    assert found(healthy(udp_error=lambda _port: "taken"), wishes)["UDP 4000-4009"].level == "fail"


@pytest.mark.parametrize(
    "wrong", [{"port": 0}, {"port": 70000}, {"udp": (5, 4)}, {"udp": (0, 10)}, {"udp": (1, 70000)}]
)
def test_ports_that_do_not_exist_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PipelineError, match=r"--port|--udp-ports"):
        Wishes(**wrong)


def test_udp_ports_are_read_from_text() -> None:
    assert parse_udp_ports(None) == (0, 0)
    assert parse_udp_ports("40000-40100") == (40000, 40100)
    for wrong in ("", "40000", "a-b", "1-", "-5"):
        with pytest.raises(PipelineError, match="LOW-HIGH"):
            parse_udp_ports(wrong)


def test_a_finding_that_is_not_ok_has_to_say_what_mends_it() -> None:
    with pytest.raises(ValueError, match="how to mend"):
        Finding("x", "warn", "broken")
    assert worst([]) == "ok"
    assert worst([Finding("a", "warn", "x", "y"), Finding("b", "ok", "x")]) == "warn"
    assert worst([Finding("a", "warn", "x", "y"), Finding("b", "fail", "x", "y")]) == "fail"


def test_this_machine_can_be_asked_everything() -> None:
    findings = found(Machine())
    assert not [finding for finding in findings.values() if "could not be checked" in finding.found]
    assert findings["Python"].level == "ok"
    assert findings["codecs of PyAV"].level == "ok"


def test_a_port_that_something_listens_on_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert Machine().tcp_error(port) == "taken"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        media.bind(("127.0.0.1", 0))
        assert Machine().udp_error(media.getsockname()[1]) == "taken"
    assert Machine().udp_error(0) is None


def test_an_ffmpeg_that_does_not_start_is_no_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine_module._ffmpeg() is None
    binary = tmp_path / "ffmpeg"
    binary.write_text("no program")
    binary.chmod(0o755)
    assert machine_module._ffmpeg() is None
    binary.write_text("#!/bin/sh\necho 'ffmpeg version 7.1-test Copyright'\n")
    assert machine_module._ffmpeg() == "7.1-test"


def test_a_codec_that_there_is_not_is_not_there() -> None:
    assert Machine().has_codec("h264", "r")
    assert not Machine().has_codec("nonsense", "w")
