"""A checkpoint to install, made of the packaged recognizer's small files and few random weights: quick to write and to read."""

from pathlib import Path

from tests.models.whisper_checkpoints import write_random_checkpoint


def write_source(folder: Path, seed: int = 0) -> Path:
    """In Hugging Face's layout; every seed has other weights. About 1.4 MB."""
    folder.mkdir(parents=True)
    return write_random_checkpoint(folder, seed)


def bytes_under(folder: Path) -> dict[str, int]:
    """Every file below a folder with its size; links are not followed."""
    return {
        path.relative_to(folder).as_posix(): path.lstat().st_size
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink()
    }
