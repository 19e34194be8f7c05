"""What is computed of pictures, each under the digest of the pictures themselves: computed once, ever."""

import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from ....models.arrays import Float32Array, FlowField, Mask, Quad
from ....stream.frame import Pixels
from ...common.cache import Cache, digest
from ...common.flow import FlowPair
from ..metrics import motion, reconstruction
from ..metrics.video_clips import clip_features
from ..metrics.warp_error import WarpError, pair_errors

if TYPE_CHECKING:
    from ....models.metrics.lpips import LPIPS
    from ...common.flow import Flow
    from ..directions.attributes import AttributeScorer
    from .networks import Networks

STEPS: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture and the digest under which everything about it is kept."""

    pixels: Pixels
    digest: str

    @classmethod
    def of(cls, pixels: Pixels) -> "Picture":
        """With its digest."""
        return cls(pixels, digest(pixels))


class CachedFeatures:
    """The networks behind the cache. Several threads may ask at once."""

    def __init__(self, networks: "Networks", cache: Cache) -> None:
        self._networks = networks
        self._cache = cache
        # dlib's and the tflite networks compute in buffers of their own; torch's do not.
        self._locks = {name: threading.Lock() for name in ("dlib", "mesh", "attributes", "flow")}
        self._looks: dict[str, Any] = {}
        self._last_flow: tuple[str, FlowPair] | None = None

    def _kept(self, key: str, compute: Callable[[], npt.ArrayLike], lock: str = "") -> npt.NDArray[Any]:
        """The kept array of a key, or the computed one. lock: name of a network that only one thread may use."""

        def arrays() -> Mapping[str, npt.NDArray[Any]]:
            with self._locks.get(lock, nullcontext()):
                return {"v": np.asarray(compute())}

        (found,) = self._cache.get(key, arrays).values()
        return found

    def embedding(self, family: str, crop: Picture) -> Float32Array:
        """(D,) identity of a crop."""
        embedder = self._networks.embedders[family]
        return self._kept(f"{embedder.name}:{crop.digest}", lambda: embedder.embed([crop.pixels])[0], family)

    def inception(self, picture: Picture) -> Float32Array:
        """(2048,) features."""
        network = self._networks.inception
        assert network is not None
        return self._kept(
            f"inception-1:{picture.digest}",
            lambda: network.features(reconstruction.to_tensor([picture.pixels]))[0].numpy(),
        )

    def classes(self, picture: Picture) -> Float32Array:
        """(1008,) class probabilities; the user's file is not known by a digest, so nothing is kept."""
        network = self._networks.classes
        assert network is not None
        found: Float32Array = network.probabilities(reconstruction.to_tensor([picture.pixels]))[0].numpy()
        return found

    def clip(self, clip: list[Pixels]) -> Float32Array:
        """(1, 400) I3D features; likewise not kept."""
        assert self._networks.i3d is not None
        return clip_features(self._networks.i3d, clip)

    def scores(self, crop: Picture) -> npt.NDArray[np.float64] | None:
        """(7,) attribute scores, or None where no face is found on the crop."""
        scorer: AttributeScorer | None = self._networks.scorer
        assert scorer is not None

        def compute() -> npt.ArrayLike:
            found = scorer(crop.pixels)
            return np.zeros(0) if found is None else found

        scores = self._kept(f"attributes-1:{crop.digest}", compute, "attributes")
        return scores if len(scores) else None

    def landmarks(self, crop: Picture) -> Float32Array | None:
        """(478, 2) in pixels of the crop, or None where no face is found on it."""
        backend = self._networks.backend
        assert backend is not None

        def compute() -> npt.ArrayLike:
            found = motion.landmarks(backend, crop.pixels)
            return np.zeros((0, 2), np.float32) if found is None else found

        points = self._kept(f"mesh-1:{crop.digest}", compute, "mesh")
        return points if len(points) else None

    def lpips(self, backbone: str, a: Picture, b: Picture) -> float:
        """Distance of two pictures of one size."""
        network: LPIPS = self._networks.lpips[backbone]
        key = f"lpips-{backbone}-1:{a.digest}:{b.digest}"
        found = self._kept(key, lambda: np.array(reconstruction.lpips(network, [a.pixels], [b.pixels]), np.float32))
        return float(found[0])

    def ssim(self, a: Picture, b: Picture) -> float:
        """Structural similarity of two pictures of one size."""
        key = f"ssim-1:{a.digest}:{b.digest}"
        return float(self._kept(key, lambda: [reconstruction.ssim(a.pixels, b.pixels)])[0])

    def warp_errors(
        self, source: tuple[Picture, Picture], result: tuple[Picture, Picture], quad: Quad | None
    ) -> tuple[WarpError, WarpError]:
        """Of the whole frame, and of what lies inside the quad; the flow is the source's."""
        flow = self._networks.flow
        assert flow is not None
        place = "" if quad is None else quad.tobytes().hex()
        digests = ":".join(picture.digest for picture in (*source, *result))

        def compute() -> npt.ArrayLike:
            frames = (source[0].pixels, source[1].pixels), (result[0].pixels, result[1].pixels)
            regions = None, region(quad, source[0].pixels.shape[:2])
            found = pair_errors(*frames, self.flow(*source), regions)
            return [(error.result, error.source, error.visible) for error in found]

        whole, face = self._kept(f"warp-1:{flow.name}:{digests}:{place}", compute).tolist()
        return WarpError(*whole), WarpError(*face)

    def flow(self, before: Picture, now: Picture) -> FlowPair:
        """Both fields of the source, kept in steps of a 64th of a pixel."""
        with self._locks["flow"]:
            return self._flow(before, now)

    def _flow(self, before: Picture, now: Picture) -> FlowPair:
        flow: Flow | None = self._networks.flow
        assert flow is not None
        key = f"{flow.name}:{before.digest}:{now.digest}"
        if self._last_flow is not None and self._last_flow[0] == key:
            return self._last_flow[1]

        def look(picture: Picture) -> Any:
            if picture.digest not in self._looks:
                self._looks[picture.digest] = flow.prepare(picture.pixels)
            return self._looks[picture.digest]

        def compute() -> Mapping[str, Any]:
            pair = flow.pair(look(before), look(now))
            return {"forward": pack(pair.forward), "backward": pack(pair.backward)}

        kept = self._cache.get(key, compute)
        self._looks = {name: seen for name, seen in self._looks.items() if name == now.digest}
        self._last_flow = key, FlowPair(unpack(kept["forward"]), unpack(kept["backward"]))
        return self._last_flow[1]


def region(quad: Quad | None, size: tuple[int, ...]) -> Mask:
    """(H, W) float32: 1 inside the quad, 0 elsewhere; zeros where there is none."""
    mask: Mask = np.zeros(size, np.float32)
    if quad is not None:
        cv2.fillConvexPoly(mask, np.round(quad).astype(np.int32), 1.0)
    return mask


def pack(field: FlowField) -> npt.NDArray[np.uint8]:
    """(H, W, 2) flow as (2, H, W, 2) bytes that compress well: 64ths of a pixel, up to 511 pixels either way, each less
    its left neighbour, high bytes apart from low ones."""
    steps = np.clip(np.round(field * STEPS), -(2**15) + 1, 2**15 - 1).astype(np.int16)
    steps[:, 1:] -= steps[:, :-1].copy()
    low_high = steps.astype("<i2").view(np.uint8).reshape(*steps.shape, 2)
    return np.ascontiguousarray(np.moveaxis(low_high, -1, 0))


def unpack(packed: npt.NDArray[np.uint8]) -> FlowField:
    """The field that `pack` kept, in steps."""
    steps = np.ascontiguousarray(np.moveaxis(packed, 0, -1)).view("<i2")[..., 0]
    # Sums wrap around as the differences did.
    field: FlowField = np.cumsum(steps, axis=1, dtype=np.int16).astype(np.float32) / np.float32(STEPS)
    return field
