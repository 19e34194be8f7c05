"""Is it still the same person: embeddings of FFHQ-aligned crops, compared with the source's and with each other."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt
import torch

from ....models.arrays import Float32Array
from ....models.errors import ModelError, WeightsError
from ....stream.frame import Pixels
from ...common.errors import PipelineError
from .reconstruction import to_tensor

if TYPE_CHECKING:
    from ....models.metrics.arcface import ArcFace
    from ....models.metrics.dlib_identity import DlibIdentity
    from ....models.zoo.zoo import Zoo

Family = Literal["dlib", "arcface"]

MOST_PAIRED: Final = 1000
"""`acd` is the mean over the pairs of at most so many frames, evenly spread: pairs grow with the square."""


class Embedder(Protocol):
    """Who is on a crop, as a vector.

    Guarantees: no memory; equal crops give equal vectors, whatever stands beside them in the batch, bit for bit.
    """

    @property
    def name(self) -> str:
        """A key for kept embeddings."""
        ...

    def embed(self, crops: Sequence[Pixels]) -> Float32Array:
        """N of (S, S, 3) uint8 RGB, aligned as FFHQ, S of at least 64 -> (N, D) float32."""
        ...


class DlibEmbedder:
    """dlib's ResNet (128-d, not of unit length): the default, no model of ours was trained with it."""

    name = "dlib-identity-1"

    def __init__(self, network: "DlibIdentity") -> None:
        self._network = network

    def embed(self, crops: Sequence[Pixels]) -> Float32Array:
        """See `Embedder.embed`."""
        return np.concatenate([self._network.embed_ffhq(to_tensor([crop])) for crop in crops])


class ArcFaceEmbedder:
    """InsightFace's MobileFaceNet (512-d, unit length): the second opinion, and a training loss of ours."""

    name = "arcface-1"

    def __init__(self, network: "ArcFace") -> None:
        self._network = network

    @torch.inference_mode()
    def embed(self, crops: Sequence[Pixels]) -> Float32Array:
        """See `Embedder.embed`."""
        return np.concatenate([self._network.embed_ffhq(to_tensor([crop])).numpy() for crop in crops])


def load_embedder(family: str, zoo: "Zoo") -> Embedder:
    """The embedder of that family, its weights pulled on first use.

    Raises:
        PipelineError: no such family. ModelError: dlib is not installed. WeightsError: no weights.
    """
    if family == "dlib":
        from ....models.metrics.dlib_identity import load_dlib_identity

        return DlibEmbedder(load_dlib_identity(zoo))
    if family == "arcface":
        from ....models.metrics.arcface import load_arcface

        return ArcFaceEmbedder(load_arcface(zoo))
    raise PipelineError(f"unknown identity {family!r}; expected one of {', '.join(get_args(Family))}")


def load_embedders(families: Iterable[str], zoo: "Zoo", left_out: Callable[[str], object]) -> dict[str, Embedder]:
    """Those of the families whose packages are installed (dlib is an extra). left_out: is told why another one is not.

    Raises:
        PipelineError: no such family. WeightsError: no weights.
    """
    found = {}
    for family in families:
        try:
            found[family] = load_embedder(family, zoo)
        except WeightsError:
            raise
        except ModelError as error:
            left_out(f"not measured: {error}")
    return found


def cosine(a: Float32Array, b: Float32Array) -> npt.NDArray[np.float64]:
    """Cosine of the angle between embeddings.

    Formula: a . b / (|a| |b|). Source: Deng et al., "ArcFace", CVPR 2019. Range: -1..1. Direction: higher is better,
    1 for equal ones. Unit: none. With ArcFace one person gives 0.6-0.9 within a clip, strangers about 0; with dlib
    all faces lie near 0.9 to 1, so there the distance says more.

    Args:
        a, b: (..., D), broadcast against each other.

    Returns:
        (...,) float64.
    """
    one, other = unit(a), unit(b)
    # The half square of the difference is exact where both are equal; the product may miss 1 by a rounding.
    found: npt.NDArray[np.float64] = 1 - np.square(one - other).sum(-1) / 2
    return found


def distance(a: Float32Array, b: Float32Array) -> npt.NDArray[np.float64]:
    """Euclidean distance between embeddings.

    Formula: |a - b|. Source: King, dlib 2017 (one person below 0.6). Range: 0 up. Direction: lower is better.
    Unit: the embedding's own. (..., D) each -> (...,) float64.
    """
    found: npt.NDArray[np.float64] = np.linalg.norm(a.astype(np.float64) - b.astype(np.float64), axis=-1)
    return found


def alike(family: str, a: Float32Array, b: Float32Array) -> float:
    """How near two embeddings (D,) of a family are: the cosine of ArcFace's, the distance of dlib's."""
    return float(cosine(a, b) if family == "arcface" else distance(a, b))


def local_similarity(embeddings: Float32Array) -> float:
    """Mean cosine between consecutive frames of one video.

    Formula: mean_t cos(e_t, e_{t+1}). Source: Tzaban, Mokady, Gal, Bermano, Cohen-Or, "Stitch it in Time" (STIT),
    SIGGRAPH Asia 2022, section 4. Range: -1..1. Direction: higher is better. NaN for fewer than two frames.

    Args:
        embeddings: (N, D), of consecutive frames.
    """
    if len(embeddings) < 2:
        return float("nan")
    return float(cosine(embeddings[:-1], embeddings[1:]).mean())


def global_similarity(embeddings: Float32Array) -> float:
    """Mean cosine over all pairs of frames of one video.

    Formula: mean_{i < j} cos(e_i, e_j), computed as (|sum_i u_i|^2 - N) / (N (N - 1)) with u of unit length.
    Source: STIT, section 4. Range: -1/(N - 1)..1. Direction: higher is better. NaN for fewer than two frames.

    Args:
        embeddings: (N, D).
    """
    count = len(embeddings)
    if count < 2:
        return float("nan")
    total = unit(embeddings).sum(0)
    return float((total @ total - count) / (count * (count - 1)))


def tl_id(result: Float32Array, source: Float32Array) -> float:
    """Temporally local identity preservation: is the result as steady from frame to frame as its source?

    Formula: local_similarity(result) / local_similarity(source). Source: STIT, section 4. Range: about 0..1, above 1
    where the result is steadier. Direction: higher is better, 1 is the source's own. Unit: none.
    """
    return local_similarity(result) / local_similarity(source)


def tg_id(result: Float32Array, source: Float32Array) -> float:
    """Temporally global identity preservation: is it one person all through the result, as in its source?

    Formula: global_similarity(result) / global_similarity(source). Source: STIT, section 4. Range: about 0..1, above 1
    where the result is steadier. Direction: higher is better, 1 is the source's own. Unit: none.
    """
    return global_similarity(result) / global_similarity(source)


def acd(embeddings: Float32Array) -> float:
    """Average content distance: how far the faces of one video are from each other.

    Formula: mean_{i < j} |e_i - e_j|, over at most MOST_PAIRED frames. Source: Tulyakov, Liu, Yang, Kautz, "MoCoGAN",
    CVPR 2018, section 5 (for faces), as VidStyleODE (arXiv 2304.06020) uses it. Range: 0 up. Direction: lower is
    better, and the source's own is the floor. Unit: the embedding's own. NaN for fewer than two frames.

    Args:
        embeddings: (N, D), not of unit length where the family's are not.
    """
    count = len(embeddings)
    if count < 2:
        return float("nan")
    if count > MOST_PAIRED:
        embeddings = embeddings[np.linspace(0, count - 1, MOST_PAIRED).round().astype(int)]
        count = MOST_PAIRED
    total = sum(float(distance(embeddings[i], embeddings[i + 1 :]).sum()) for i in range(count - 1))
    return total / (count * (count - 1) / 2)


def unit(embeddings: Float32Array) -> npt.NDArray[np.float64]:
    """(..., D) at length 1, float64."""
    wide = embeddings.astype(np.float64)
    long: npt.NDArray[np.float64] = wide / np.linalg.norm(wide, axis=-1, keepdims=True)
    return long
