"""A window that shows what is sent: Tk, which Python brings, and which has no delay of its own."""

import importlib
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ..stream.frame import Pixels

NAMES = {"Up": "up", "Down": "down", "Left": "left", "Right": "right"}


def open_preview(title: str) -> "Preview":
    """The window. A usage error that says what to install where there is no Tk or no screen."""
    try:
        tk = importlib.import_module("tkinter")
    except ImportError:
        raise typer.BadParameter(
            "--preview needs Tk, which this Python lacks: sudo apt-get install python3-tk on Debian, brew install "
            "python-tk on macOS; or look at the virtual camera with ffplay, or in a browser"
        ) from None
    try:
        return Preview(tk, title)
    except tk.TclError as error:
        raise typer.BadParameter(f"--preview needs a screen ({error}); leave it out here") from None


class Preview:
    """Shows pictures and collects keys; used by one thread, the one that made it.

    tk: the module tkinter, or what stands for it.
    """

    def __init__(self, tk: Any, title: str) -> None:
        self._tk = tk
        self._root = tk.Tk()
        self._label = tk.Label(self._root, borderwidth=0)
        self._label.pack()
        self._image: Any = None  # Tk keeps no reference of its own
        self._shown: Pixels | None = None
        self._mirrored = False
        self._keys: list[str] = []
        self.closed = False
        self._root.title(title)
        self._root.bind("<Key>", self._press)
        self._root.protocol("WM_DELETE_WINDOW", self.close)

    def show(self, pixels: "Pixels | None", *, mirrored: bool) -> list[str]:
        """Show a picture, (H, W, 3) uint8 RGB, where it is a new one; the keys pressed since the last call."""
        if self.closed:
            return []
        if pixels is not None and (pixels is not self._shown or mirrored != self._mirrored):
            self._shown, self._mirrored = pixels, mirrored
            data = to_ppm(pixels, mirrored=mirrored)
            self._image = self._tk.PhotoImage(data=data, format="PPM", master=self._root)
            self._label.configure(image=self._image)
        self._root.update()
        keys, self._keys = self._keys, []
        return keys

    def _press(self, event: Any) -> None:
        key = NAMES.get(event.keysym) or ("space" if event.char == " " else event.char)
        if key:
            self._keys.append(key)

    def close(self) -> None:
        """Close the window; the run continues."""
        if not self.closed:
            self.closed = True
            self._root.destroy()


def to_ppm(pixels: "Pixels", *, mirrored: bool) -> bytes:
    """A picture as a binary PPM file, which Tk reads without a library."""
    height, width = pixels.shape[:2]
    return b"P6 %d %d 255\n" % (width, height) + (pixels[:, ::-1] if mirrored else pixels).tobytes()
