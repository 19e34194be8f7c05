"""CLIP from the user's file: ViT-B/32 and ViT-B/16, in the layouts that OpenAI, open_clip and Hugging Face publish.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021. Files are read as
tensors alone: safetensors, or a state dict of torch without code. The tokenizer is the published `tokenizer.json` or
the merges (`bpe_simple_vocab_16e6.txt`, packed with gzip or not).
"""

import gzip
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WeightsError
from ..formats.checkpoint import load_state, read_safetensors
from ..weight_files import WeightFiles
from .embedding import check_faces
from .minilm import load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ENTRIES: Final = ("clip-vit-b32", "clip-vit-b16")
TOKENIZER_ENTRY: Final = "clip-tokenizer"
CONTEXT: Final = 77
START, END = "<|startoftext|>", "<|endoftext|>"
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HEAD_SIZE: Final = 64


class Block(nn.Module):
    """A pre-norm transformer layer with QuickGELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, max(1, width // HEAD_SIZE), batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(c_fc=nn.Linear(width, 4 * width), gelu=_QuickGelu(), c_proj=nn.Linear(4 * width, width))
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, width) -> the same."""
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class _QuickGelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Transformer(nn.Module):
    """Layers, one after the other."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for block in self.resblocks:
            x = block(x, mask)
        return x


class Vision(nn.Module):
    """(B, 3, S, S), normalized -> (B, D)."""

    def __init__(self, width: int, layers: int, patch: int, cells: int, size: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(cells * cells + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Transformer(width, layers)
        self.proj = nn.Parameter(torch.zeros(width, size))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], 1) + self.positional_embedding
        out: Tensor = self.ln_post(self.transformer(self.ln_pre(x))[:, 0]) @ self.proj
        return out


class Clip(nn.Module):
    """Both networks, under the names that OpenAI and open_clip use."""

    def __init__(
        self, width: int, layers: int, patch: int, cells: int, text: tuple[int, int, int, int], size: int
    ) -> None:
        """text: width, layers, words of the vocabulary, longest text."""
        super().__init__()
        text_width, text_layers, words, longest = text
        self.visual = Vision(width, layers, patch, cells, size)
        self.transformer = Transformer(text_width, text_layers)
        self.token_embedding = nn.Embedding(words, text_width)
        self.positional_embedding = nn.Parameter(torch.zeros(longest, text_width))
        self.ln_final = nn.LayerNorm(text_width)
        self.text_projection = nn.Parameter(torch.zeros(text_width, size))
        self.logit_scale = nn.Parameter(torch.tensor(0.0))
        self.pixels = patch * cells

    def encode_text(self, tokens: Tensor) -> Tensor:
        """(B, T) int64, of which the largest number ends the text -> (B, D)."""
        length = tokens.shape[1]
        mask = torch.full((length, length), -torch.inf).triu(1)
        x = self.token_embedding(tokens) + self.positional_embedding[:length]
        x = self.ln_final(self.transformer(x, mask))
        out: Tensor = x[torch.arange(len(x)), tokens.argmax(1)] @ self.text_projection
        return out


class ClipEmbedding:
    """Implements `TextImageEmbedding`."""

    def __init__(self, network: Clip, tokenizer: "Tokenizer", name: str) -> None:
        self.name = name
        self.size = network.text_projection.shape[1]
        self._network = network
        self._tokenizer = tokenizer
        self._mean, self._deviation = (torch.tensor(row).view(1, 3, 1, 1) for row in (MEAN, DEVIATION))

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """See `TextImageEmbedding`."""
        if not texts:
            return torch.zeros(0, self.size)
        longest = len(self._network.positional_embedding) - 2
        start, end = (self._tokenizer.token_to_id(mark) for mark in (START, END))
        rows = [
            [start, *self._tokenizer.encode(text.lower(), add_special_tokens=False).ids[:longest], end]
            for text in texts
        ]
        tokens = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        for index, row in enumerate(rows):
            tokens[index, : len(row)] = torch.tensor(row)
        return F.normalize(self._network.encode_text(tokens), dim=1)

    def faces(self, faces: Tensor) -> Tensor:
        """See `TextImageEmbedding`."""
        check_faces(faces)
        if not len(faces):
            return torch.zeros(0, self.size)
        side = self._network.pixels
        small = F.interpolate(faces, (side, side), mode="bicubic", antialias=True, align_corners=False)
        picture = ((small + 1) / 2).clamp(0, 1)
        return F.normalize(self._network.visual((picture - self._mean) / self._deviation), dim=1)


def load_clip(path: Path, tokenizer: Path, name: str = "CLIP") -> ClipEmbedding:
    """The networks of a file, frozen, with the tokenizer of another. Raises WeightsError."""
    return ClipEmbedding(load_clip_network(path), load_clip_tokenizer(tokenizer), name)


def find_clip(zoo: WeightFiles) -> ClipEmbedding:
    """The first of ENTRIES that was imported. Raises WeightsError where none was, which tells how."""
    missing: WeightsError | None = None
    for entry in ENTRIES:
        try:
            path = zoo.path(entry)
        except WeightsError as error:
            missing = missing or error
            continue
        return load_clip(path, zoo.path(TOKENIZER_ENTRY), entry)
    assert missing is not None
    raise missing


def load_clip_network(path: Path) -> Clip:
    """The networks of a file in any of the layouts. Raises WeightsError for another one."""
    state = read_state(path)
    if any(name.startswith("vision_model.") for name in state):
        state = from_hugging_face(state)
    state = {name: value.float() for name, value in state.items() if name not in _EXTRA}
    try:
        convolution, places = state["visual.conv1.weight"], state["visual.positional_embedding"]
        words, text_width = state["token_embedding.weight"].shape
        longest, size = len(state["positional_embedding"]), state["text_projection"].shape[1]
    except (KeyError, IndexError, ValueError) as error:
        some = ", ".join(sorted(state)[:4]) or "nothing"
        raise WeightsError(
            f"{path} is no CLIP with a vision transformer: {error} is missing; it holds {some}"
        ) from None
    cells = round((len(places) - 1) ** 0.5)
    layers, text_layers = (_count(state, prefix) for prefix in ("visual.transformer.", "transformer."))
    width, patch = convolution.shape[0], convolution.shape[-1]
    network = Clip(width, layers, patch, cells, (text_width, text_layers, words, longest), size)
    return load_state(network, {"logit_scale": torch.tensor(0.0), **state}, str(path))


_EXTRA: Final = frozenset({"input_resolution", "context_length", "vocab_size", "attn_mask"})


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file or a state dict of torch; no code of the file is run. Raises WeightsError."""
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # torch.load has no error class of its own for a damaged or foreign file
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise WeightsError(
            f"{path} cannot be read as a state dict: {line}; a TorchScript archive is none: save its state_dict()"
        ) from error
    state = state.get("state_dict", state) if isinstance(state, Mapping) else state
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds {type(state).__name__}, expected a state dict of tensors")
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def from_hugging_face(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under OpenAI's names."""
    found: dict[str, Tensor] = {}
    heads = {
        "vision_model.embeddings.class_embedding": "visual.class_embedding",
        "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
        "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
        "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
        "text_model.embeddings.position_embedding.weight": "positional_embedding",
        "logit_scale": "logit_scale",
    }
    norms = {
        "vision_model.pre_layrnorm.": "visual.ln_pre.", "vision_model.post_layernorm.": "visual.ln_post.",
        "text_model.final_layer_norm.": "ln_final.",
    }  # fmt: skip
    inner = {
        "layer_norm1.": "ln_1.", "layer_norm2.": "ln_2.", "mlp.fc1.": "mlp.c_fc.", "mlp.fc2.": "mlp.c_proj.",
        "self_attn.out_proj.": "attn.out_proj.",
    }  # fmt: skip
    for name, value in state.items():
        if name in heads:
            found[heads[name]] = value
        elif name in ("visual_projection.weight", "text_projection.weight"):
            found["visual.proj" if name.startswith("visual") else "text_projection"] = value.T
        elif old := next((one for one in norms if name.startswith(one)), None):
            found[norms[old] + name[len(old) :]] = value
        elif ".encoder.layers." in name:
            side, _, rest = name.partition(".encoder.layers.")
            number, _, part = rest.partition(".")
            prefix = f"{'visual.' if side == 'vision_model' else ''}transformer.resblocks.{number}."
            if part.startswith("self_attn.q_proj."):
                kind = part.rsplit(".", 1)[1]
                try:
                    rows = [state[name.replace("q_proj", f"{letter}_proj")] for letter in "qkv"]
                except KeyError as error:
                    raise WeightsError(f"{error} is missing beside {name}") from None
                found[f"{prefix}attn.in_proj_{kind}"] = torch.cat(rows)
            elif new := next((one for one in inner if part.startswith(one)), None):
                found[prefix + inner[new] + part[len(new) :]] = value
    return found


def load_clip_tokenizer(path: Path) -> "Tokenizer":
    """Of a published `tokenizer.json`, or of the published merges. Raises WeightsError."""
    if path.suffix == ".json":
        tokenizer = load_tokenizer(path, CONTEXT)
        tokenizer.no_padding()
        tokenizer.no_truncation()
    else:
        tokenizer = _from_merges(path)
    if tokenizer.token_to_id(START) is None or tokenizer.token_to_id(END) is None:
        raise WeightsError(f"{path} is no tokenizer of CLIP: it has no {START} and {END}")
    return tokenizer


def _from_merges(path: Path) -> "Tokenizer":
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
        lines = text.splitlines()[1 : 49152 - 256 - 2 + 1]
        merges = [(one, other) for one, other in (line.split() for line in lines if line.strip())]
    except (OSError, ValueError, EOFError) as error:
        raise WeightsError(f"{path} cannot be read as CLIP's merges ({error}); expected two parts in a line") from error
    letters = _byte_letters()
    words = [*letters, *(letter + "</w>" for letter in letters), *(one + other for one, other in merges), START, END]
    tokenizer = Tokenizer(
        models.BPE({word: index for index, word in enumerate(words)}, merges, end_of_word_suffix="</w>")
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    pattern = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern, "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def _byte_letters() -> list[str]:
    """The letter that stands for each byte, in CLIP's order: printable ones first."""
    ranges = pairwise([33, 127, 161, 173, 174, 256])
    printable = [byte for low, high in list(ranges)[::2] for byte in range(low, high)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    start = f"{prefix}resblocks."
    numbers = {name[len(start) :].split(".")[0] for name in state if name.startswith(start)}
    return 1 + max(map(int, numbers), default=-1)
