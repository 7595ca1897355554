"""Voice packs: for each length of a text in symbols one style. Published as torch files, bare numbers, or all in one file."""

import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from models.importing import SourceFiles, UnusableSource
from models.kokoro.config import KokoroConfig
from models.kokoro.conversion.files import PACKS_IN_ONE, pack_files
from models.kokoro.conversion.saved import read_saved
from models.kokoro.record import GENDERS, LOCALES, PACK_NAME


def read_packs(source: SourceFiles, config: KokoroConfig) -> dict[str, Tensor]:
    """Every pack by name, float32 [lengths, 2 * style]. Raises UnusableSource naming the file that is none."""
    packs: dict[str, Tensor] = {}
    for name in pack_files(source):
        path = source[name]
        if PACKS_IN_ONE.fullmatch(name) and zipfile.is_zipfile(path):
            found = _read_archive(path)
        else:
            found = {PurePosixPath(name).stem: _read_one(path)}
        for voice, pack in found.items():
            if PACK_NAME.fullmatch(voice) is None:
                raise UnusableSource(
                    f"{path}: {voice!r} is no name of a voice: a letter for the language ({', '.join(LOCALES)}), one for the "
                    f"gender ({', '.join(GENDERS)}), _ and a name, such as af_heart; rename the file"
                )
            packs[voice] = shaped(pack, config, f"{path} ({voice})")
    if not packs:
        raise UnusableSource("there are weights, but no voices: give voices/*.pt, voices/*.bin or voices-v1.0.bin beside them")
    return packs


def shaped(pack: Tensor, config: KokoroConfig, where: str) -> Tensor:
    """A pack as it rests. Raises UnusableSource for one of another network, or with numbers that are none."""
    lengths, size = config.most_tokens - 2, 2 * config.style_dim
    if pack.numel() != lengths * size or (pack.dim() > 1 and (pack.shape[0], pack.shape[-1]) != (lengths, size)):
        raise UnusableSource(
            f"{where} has the shape {list(pack.shape)}; a voice of this network has {lengths} styles of {size} numbers"
        )
    if not torch.isfinite(pack).all():
        raise UnusableSource(f"{where} holds numbers that are not finite; fetch it again")
    return pack.reshape(lengths, size).float().contiguous()


def _read_one(path: Path) -> Tensor:
    if path.suffix == ".pt":
        content = read_saved(path)
        if not isinstance(content, Tensor) or not content.is_floating_point():
            raise UnusableSource(f"{path} holds no tensor, so it is no voice")
        return content
    try:
        return torch.from_numpy(np.fromfile(path, "<f4"))
    except (OSError, ValueError) as error:
        raise UnusableSource(f"{path} cannot be read: {error}") from None


def _read_archive(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: torch.from_numpy(archive[name].astype(np.float32)) for name in archive.files}
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise UnusableSource(f"{path} is no archive of NumPy arrays: {error}") from None
