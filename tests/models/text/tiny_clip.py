"""A CLIP of a few thousand parameters in each published layout, and its tokenizer."""

import gzip
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from dynstream.models.text.clip import END, START, Clip, _byte_letters

MERGES = ["s m", "sm i", "smi l", "smil e</w>", "o l", "ol d</w>"]


def vocabulary() -> dict[str, int]:
    letters = _byte_letters()
    words = [
        *letters,
        *(letter + "</w>" for letter in letters),
        *(merge.replace(" ", "") for merge in MERGES),
        START,
        END,
    ]
    return {word: index for index, word in enumerate(words)}


def tiny(seed: int = 0) -> Clip:
    torch.manual_seed(seed)
    network = Clip(16, 2, 56, 4, (8, 1, len(vocabulary()), 12), 6)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


def hugging_face(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """OpenAI's names as Hugging Face writes them; what `from_hugging_face` undoes."""
    names = {
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
        "logit_scale": "logit_scale",
    }
    parts = {
        "ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
        "attn.out_proj": "self_attn.out_proj",
    }  # fmt: skip
    found: dict[str, Tensor] = {"text_model.embeddings.position_ids": torch.arange(12)[None]}
    for name, value in state.items():
        if name in names:
            found[names[name]] = value
        elif name in ("visual.proj", "text_projection"):
            found["visual_projection.weight" if name == "visual.proj" else "text_projection.weight"] = (
                value.T.contiguous()
            )
        elif ".resblocks." in name or name.startswith("transformer.resblocks."):
            side = "vision_model" if name.startswith("visual") else "text_model"
            number, _, part = name.partition("resblocks.")[2].partition(".")
            prefix = f"{side}.encoder.layers.{number}."
            if "in_proj" in part:
                for letter, rows in zip("qkv", value.chunk(3), strict=True):
                    found[f"{prefix}self_attn.{letter}_proj.{part.rsplit('_', 1)[1]}"] = rows.clone()
            else:
                kind, _, end = part.rpartition(".")
                found[f"{prefix}{parts[kind]}.{end}"] = value
        else:
            kind, _, end = name.rpartition(".")
            found[{"visual.ln_pre": "vision_model.pre_layrnorm", "visual.ln_post": "vision_model.post_layernorm",
                   "ln_final": "text_model.final_layer_norm"}[kind] + f".{end}"] = value  # fmt: skip
    return found


def write(folder: Path) -> dict[str, Path]:
    """The network in each layout."""
    state = {name: value.clone() for name, value in tiny().state_dict().items()}
    files = {"open_clip": "a.safetensors", "openai": "b.pt", "hf": "c.safetensors", "wrapped": "d.bin"}
    paths = {name: folder / file for name, file in files.items()}
    save_file(state, paths["open_clip"])
    torch.save({**state, "input_resolution": torch.tensor(224), "context_length": torch.tensor(12)}, paths["openai"])
    save_file(hugging_face(state), paths["hf"])
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, paths["wrapped"])
    return paths


def write_tokenizers(folder: Path) -> tuple[Path, Path, Path]:
    """The merges, the same packed, and a tokenizer.json."""
    text = "\n".join(["#version: 0.2", *MERGES, ""])
    plain, packed, whole = folder / "bpe.txt", folder / "bpe.txt.gz", folder / "tokenizer.json"
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    whole.write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]},
        "post_processor": None, "decoder": None,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "</w>", "fuse_unk": False, "vocab": vocabulary(),
                  "merges": [merge.split(" ") for merge in MERGES]},
    }))  # fmt: skip
    return plain, packed, whole
