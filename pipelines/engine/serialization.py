"""Serialization of a stream's state, bit for bit: msgpack with tensors and arrays as raw bytes.

Only the kinds of values listed here are written or read: reading never runs code. A value is

    None, bool, int, float, str            as they are
    ["t", item, ...]                       a tuple, or a list
    ["m", key, value, ...]                 a mapping
    ["d", name, {field: value}]            a dataclass of `KINDS`
    ["a", dtype, shape, bytes]             a NumPy array, little-endian, in C order
    ["x", dtype, shape, bytes]             a torch tensor

inside {"format": "dynstream-state", "version": 5, "value": ...}.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Final

import msgpack
import numpy as np
import torch

from ...models.encoders.recurrent_encoder import RecurrentState
from ...models.faces.faces import FaceRegion
from ..animation.driver import DriverFrame
from ..animation.face_motion import MeasuredFace
from ..animation.landmark_motion import MovedState
from ..animation.live_driver import LiveDriver
from ..common.errors import StateError
from ..compositing.background import Plate
from ..compositing.colour_match import ColourMatch
from ..compositing.composite import Layers, Motion
from ..compositing.hair_colour import HairChange
from ..compositing.head_matte import Matte, SteadyMatte
from ..compositing.on_device.background import DevicePlate
from ..compositing.on_device.colours import DeviceHair
from ..compositing.on_device.layers import DeviceLayers, DeviceMotion
from ..compositing.on_device.mattes import DeviceMatte
from ..compositing.reproject import ReprojectableLayers
from ..editor.composite_state import CompositeState
from ..editor.device_compositor import DeviceComposite, DeviceDrawn
from ..editor.face_editor import AnalysisState, FaceVisibility, SessionState
from ..edits.edit import EditSpec
from ..inversion.latent_memory import DeviceMemory, LatentState, RecurrentMemory
from ..motion.keyframes import LandmarkMap, MotionMemory
from ..motion.online_predictor import DynamicsState
from ..tracking.face_selection import Aim, Place
from ..tracking.face_track import FaceTrack
from ..tracking.head_pose import HeadPose
from ..tracking.occlusion import FaceColours
from ..tracking.one_euro import OneEuroState
from ..tracking.tracker import HeldFace, LostFace, TrackerState
from .portrait_editor import PortraitState
from .portrait_renderer import PortraitMemory

FORMAT: Final = "dynstream-state"
VERSION: Final = 5
MOST_BYTES: Final = 256 << 20
DEEPEST: Final = 32

KINDS: Final[Mapping[str, type]] = {
    kind.__name__: kind
    for kind in (
        Aim,
        ColourMatch,
        ReprojectableLayers,
        DeviceComposite,
        DriverFrame,
        LiveDriver,
        MeasuredFace,
        MovedState,
        PortraitMemory,
        PortraitState,
        DeviceDrawn,
        DeviceHair,
        DeviceLayers,
        DeviceMatte,
        DeviceMemory,
        DeviceMotion,
        DevicePlate,
        DynamicsState,
        EditSpec,
        FaceColours,
        FaceRegion,
        FaceTrack,
        HairChange,
        CompositeState,
        HeadPose,
        HeldFace,
        LandmarkMap,
        LatentState,
        Layers,
        AnalysisState,
        LostFace,
        Matte,
        Motion,
        MotionMemory,
        OneEuroState,
        Place,
        Plate,
        FaceVisibility,
        RecurrentMemory,
        RecurrentState,
        SessionState,
        SteadyMatte,
        TrackerState,
    )
}
"""The dataclasses that a state may contain."""

ARRAYS: Final = ("|b1", "|u1", "|i1", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8")
TENSORS: Final[Mapping[str, torch.dtype]] = {
    name: getattr(torch, name)
    for name in ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
}


def to_bytes(value: object) -> bytes:
    """Serialize a value made of KINDS, tensors, arrays, tuples, mappings and plain values. Raises TypeError if not."""
    packed: bytes = msgpack.packb({"format": FORMAT, "version": VERSION, "value": _pack(value)})
    return packed


def from_bytes(data: bytes, device: str | torch.device = "cpu") -> Any:
    """Deserialize the data of `to_bytes`; lists come back as tuples. device: where tensors go.

    Raises StateError for data of another kind or version, and for incomplete or inconsistent data.
    """
    if len(data) > MOST_BYTES:
        raise StateError(f"a saved state of {len(data) >> 20} MiB is not read; at most {MOST_BYTES >> 20} are")
    try:
        document = msgpack.unpackb(data, strict_map_key=True)
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise StateError(f"the saved state cannot be read ({error}); it is damaged, or something else") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StateError("this is not a saved state of dynstream; expected what `Session.snapshot` gave")
    if document.get("version") != VERSION:
        raise StateError(
            f"the state was saved as version {document.get('version')!r}, and this is version {VERSION}; begin anew"
        )
    try:
        return _unpack(document.get("value"), torch.device(device), 0)
    except StateError:
        raise
    except (ValueError, TypeError, IndexError, RuntimeError, AttributeError) as error:
        raise StateError(f"the saved state does not fit together ({error}); begin anew") from error


def _pack(value: object) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, torch.Tensor):
        name = str(value.dtype).removeprefix("torch.")
        if name not in TENSORS:
            raise TypeError(f"cannot save a tensor of {value.dtype}")
        flat = value.detach().cpu().contiguous().reshape(-1)
        return ["x", name, list(value.shape), flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""]
    if isinstance(value, np.ndarray):
        ordered = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False)
        if ordered.dtype.str not in ARRAYS:
            raise TypeError(f"cannot save an array of {value.dtype}")
        return ["a", ordered.dtype.str, list(value.shape), ordered.tobytes()]
    if isinstance(value, np.generic):
        return _pack(np.asarray(value))
    if isinstance(value, tuple | list):
        return ["t", *map(_pack, value)]
    if isinstance(value, Mapping):
        return ["m", *(_pack(part) for pair in value.items() for part in pair)]
    name = type(value).__name__
    if KINDS.get(name) is not type(value):
        raise TypeError(f"cannot save a {type(value).__qualname__}; it is not one of {', '.join(KINDS)}")
    return ["d", name, {item.name: _pack(getattr(value, item.name)) for item in dataclasses.fields(value)}]  # type: ignore[arg-type]


def _unpack(value: Any, device: torch.device, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if depth > DEEPEST or not isinstance(value, list) or not value:
        raise StateError("the saved state does not fit together; begin anew")
    tag, *rest = value
    if tag == "t":
        return tuple(_unpack(item, device, depth + 1) for item in rest)
    if tag == "m":
        parts = [_unpack(part, device, depth + 1) for part in rest]
        return dict(zip(parts[::2], parts[1::2], strict=True))
    if tag == "d":
        return _dataclass(device, depth, *rest)
    if tag in ("a", "x"):
        return _numbers(device, tag, *rest)
    raise StateError(f"the saved state holds a value of an unknown kind {tag!r}; begin anew")


def _dataclass(device: torch.device, depth: int, name: str, fields: dict[str, Any]) -> Any:
    kind = KINDS.get(name)
    if kind is None:
        raise StateError(f"the saved state holds a {name!r}, which this version does not know; begin anew")
    wanted = {item.name for item in dataclasses.fields(kind)}
    if set(fields) != wanted:
        odd = ", ".join(sorted(set(fields) ^ wanted))
        raise StateError(f"the saved {name} was made by another version (its {odd}); begin anew")
    return kind(**{key: _unpack(part, device, depth + 1) for key, part in fields.items()})


def _numbers(device: torch.device, tag: str, dtype: str, shape: list[int], data: bytes) -> Any:
    size = TENSORS[dtype].itemsize if tag == "x" and dtype in TENSORS else 0
    if tag == "a" and dtype in ARRAYS:
        size = np.dtype(dtype).itemsize
    if not size or not all(type(side) is int and side >= 0 for side in shape) or len(data) != size * math.prod(shape):
        raise StateError(f"the saved state holds numbers that are not whole: {len(data)} bytes of {dtype} {shape}")
    if tag == "a":
        return np.frombuffer(data, np.dtype(dtype)).reshape(shape).copy()
    raw = torch.from_numpy(np.frombuffer(data, np.uint8).copy())
    return (raw.view(TENSORS[dtype]) if data else torch.empty(0, dtype=TENSORS[dtype])).reshape(shape).to(device)
