"""The region that a direction touches: the face inside the hull of its landmarks, the hair, or the whole head."""

from typing import Final, Literal, get_args

Region = Literal["face", "hair", "head"]
REGIONS: Final[tuple[Region, ...]] = get_args(Region)


def check_region(name: str, region: str) -> None:
    """Raises ValueError unless `region` is one; `name` is the direction's."""
    if region not in REGIONS:
        raise ValueError(f"direction {name!r}: expected a region out of {', '.join(REGIONS)}, got {region!r}")
