"""Checks of cameras, virtual cameras, GStreamer and ports."""

from ...stream.camera_devices import no_camera
from ...stream.virtual_camera import install_hint
from .finding import Finding
from .machine import Machine


def cameras(machine: Machine) -> list[Finding]:
    """Cameras that `dynstream webcam` could read."""
    found = [camera for camera in machine.cameras() if not camera.virtual]
    if not found:
        mend = no_camera(machine.platform).partition(": ")[2]
        return [Finding("cameras", "warn", "none", mend)]
    return [Finding("cameras", "ok", ", ".join(map(str, found)))]


def virtual_camera(machine: Machine) -> list[Finding]:
    """Virtual cameras for `dynstream webcam`. None is opened, so no program sees a camera come and go."""
    problem = machine.pyvirtualcam()
    if problem is not None:
        reason, _, mend = problem.partition(": ")
        return [Finding("virtual camera", "warn", reason, mend or "pip install 'dynstream[webcam]'")]
    if machine.platform != "linux":
        if machine.obs_installed():
            return [Finding("virtual camera", "ok", "OBS")]
        return [Finding("virtual camera", "warn", "OBS is not installed", install_hint(machine.platform))]
    devices = [name for name in machine.virtual_devices() if name is not None]
    if not devices:
        return [Finding("virtual camera", "warn", "no v4l2loopback device", install_hint(machine.platform))]
    locked = [name for name in devices if not machine.may_write(name)]
    if locked:
        mend = "sudo usermod -aG video $USER, then log in again"
        return [Finding("virtual camera", "warn", f"{', '.join(locked)} may not be written", mend)]
    return [Finding("virtual camera", "ok", ", ".join(devices))]


def gstreamer(machine: Machine) -> list[Finding]:
    """Whether GStreamer could run the element that `dynstream gst-plugin` installs."""
    problem = machine.gstreamer()
    if problem is not None:
        return [Finding("GStreamer", "warn", f"{problem.found}; needed for `dynstream gst-plugin`", problem.mend)]
    return [Finding("GStreamer", "ok", "loads elements written in Python; `dynstream gst-plugin` installs dynstream's")]


def port(machine: Machine, number: int) -> list[Finding]:
    """The port on which `dynstream serve` listens."""
    problem = machine.tcp_error(number)
    if problem is None:
        return [Finding(f"port {number}", "ok", "free")]
    look = {"linux": f"ss -ltnp 'sport = :{number}'", "win32": f"netstat -ano | findstr :{number}"}
    who = look.get(machine.platform, f"lsof -iTCP:{number} -sTCP:LISTEN")
    mend = f"choose another with --port, or see who has it: {who}"
    return [Finding(f"port {number}", "warn", problem, mend)]


def udp_ports(machine: Machine, low: int, high: int) -> list[Finding]:
    """The ports for media; low = high = 0 asks the system for any."""
    name = "UDP" if low == high == 0 else f"UDP {low}-{high}"
    problems = [problem for number in range(low, high + 1) if (problem := machine.udp_error(number)) is not None]
    free = high - low + 1 - len(problems)
    if free == 0:
        mend = "choose another range with --udp-ports, or allow UDP for this user or container"
        return [Finding(name, "fail", f"no port can be had ({problems[0]})", mend)]
    if problems:
        mend = "choose another range with --udp-ports where one session a port is needed"
        return [Finding(name, "warn", f"{free} free, {len(problems)} not ({problems[0]})", mend)]
    return [Finding(name, "ok", "can be had" if low == 0 else f"{free} free")]
