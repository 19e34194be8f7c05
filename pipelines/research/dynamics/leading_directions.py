"""Directions in which the codes of clips move most: the leading channels of a model of motion."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...motion.code_series import CodeSeries
from ...motion.likelihood import normalised
from ..common.extra import need_research


def leading_directions(series: Sequence[CodeSeries], count: int, *, seed: int = 0) -> Tensor:
    """(count, codes * size): orthonormal directions in which the codes of all clips together move most.

    Each clip counts alike. Where there are fewer directions than asked for, the last rows are random ones.
    """
    need_research("sklearn")
    from sklearn.decomposition import PCA

    rows = [normalised(one).flatten(1) / len(one) ** 0.5 for one in series]
    data = torch.cat(rows)
    random = torch.randn(count, data.shape[1], generator=torch.Generator().manual_seed(seed)) * 1e-6
    found = PCA(min(count, *data.shape), svd_solver="randomized", random_state=seed).fit(data.numpy()).components_
    stacked = torch.cat([torch.from_numpy(np.asarray(found, np.float32)), random])[:count]
    directions: Tensor = torch.linalg.qr(stacked.T)[0].T.contiguous()
    return directions
