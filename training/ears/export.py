"""Write trained weights as a Hugging Face checkpoint in half precision: the folder the server loads.

    python -m training.ears.export --weights data/ears/averaged.pt --text-folder TEXT --out models/whisper/weights

With a text folder, the heads whose attention follows time are found by `training.ears.alignment`.
"""

import argparse
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from models.hearing import WindowPolicy, WindowRules
from models.whisper.config import WhisperConfig
from models.whisper.features import FeatureSettings
from models.whisper.model import load
from training.ears.alignment import find_heads
from training.ears.learner import make_config
from training.ears.tokenizer import SPECIAL_TOKENS

MAX_WINDOW_S = 15
"""The longest item of the corpus; `models.whisper.model` reads it, others ignore it."""
WINDOWS = WindowRules(longest_s=12.0, pause_after_s=4.0, pause_s=0.3)
"""Short windows cost less and keep a small model from losing its place; the pause is longer than what is kept behind speech,
so that the text decoded in the pause can be the final one."""
DECODING = {
    "timestamps": False,
    "beams": 4,
    "draft_beams": 4,
    "length_power": 0.6,
    "trained_on_short_windows": True,
    "rest_s": 0.2,
    "tokens_per_second": 15,
    "tokens_at_least": 12,
    "short_tokens_per_second": 15,
    "short_tokens_at_least": 12,
    "stops_loops": True,
    "start_over_s": 0.6,
    "no_speech_log_probability": -0.5,
}
"""Fields of `models.whisper.decoding_policy.DecodingPolicy`. Texts that compete by log probability over their tokens to the
power of 1 instead of 0.6 were 0.3 points worse on 240 windows. Five beams instead of one took the word error rate of the first
weights from 34.5 to 28.6 % (espeak-ng) and from 41.7 to 32.4 % (flite) on 80 held-out sentences each, three to 29.8 and 32.7 %.
A rest behind speech: of 600 windows cut off at random 12.4 % of the words were wrong without it, 0.8 % were decoded twice, and
one took 26 ms; with 0.1 to 0.5 s 11.5 %, none, and 20 ms. Fast speech (240 words a minute) is 12 tokens a second."""
CHUNK_S = 60
"""With a 20 ms hop, 60 s are the 3000 frames that faster-whisper always gives a model."""


def config_json(config: WhisperConfig, tokenizer: Tokenizer, dtype: torch.dtype) -> dict[str, object]:
    end = tokenizer.token_to_id("<|endoftext|>")
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        **{name: getattr(config, name) for name in config.__slots__},
        "activation_function": "gelu",
        "scale_embedding": False,
        "is_encoder_decoder": True,
        "tie_word_embeddings": True,
        "num_hidden_layers": config.encoder_layers,
        "decoder_start_token_id": tokenizer.token_to_id("<|startoftranscript|>"),
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "dtype": str(dtype).removeprefix("torch."),
        "descant_max_window_s": MAX_WINDOW_S,
        "descant_decoding": DECODING,
        "descant_windows": asdict(WindowPolicy(WINDOWS, WINDOWS, whole_gap_s=1.0)),
    }


def generation_json(config: WhisperConfig, tokenizer: Tokenizer, alignment_heads: list[list[int]]) -> dict[str, object]:
    """No token is suppressed at the beginning: <|endoftext|> there is how silence is transcribed."""
    end = tokenizer.token_to_id("<|endoftext|>")
    return {
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": tokenizer.token_to_id("<|startoftranscript|>"),
        "no_timestamps_token_id": tokenizer.token_to_id("<|notimestamps|>"),
        "prev_sot_token_id": tokenizer.token_to_id("<|startofprev|>"),
        "suppress_tokens": [tokenizer.token_to_id(t) for t in SPECIAL_TOKENS if t != "<|endoftext|>"],
        "begin_suppress_tokens": [],
        "max_length": config.max_target_positions,
        "is_multilingual": False,
        "return_timestamps": False,
        "alignment_heads": alignment_heads,
    }


def preprocessor_json(features: FeatureSettings) -> dict[str, object]:
    samples = CHUNK_S * features.sample_rate_hz
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": features.mel_bands,
        "sampling_rate": features.sample_rate_hz,
        "hop_length": features.hop_samples,
        "n_fft": features.fft_samples,
        "chunk_length": CHUNK_S,
        "n_samples": samples,
        "nb_max_frames": samples // features.hop_samples,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
        "dither": 0.0,
    }


def tokenizer_json() -> dict[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>"),
        "clean_up_tokenization_spaces": False,
        "model_max_length": 448,
    }


def write_checkpoint(
    weights: dict[str, torch.Tensor],
    config: WhisperConfig,
    tokenizer_path: Path,
    out: Path,
    alignment_heads: list[list[int]],
    dtype: torch.dtype = torch.float16,
    features: FeatureSettings | None = None,
) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    out.mkdir(parents=True, exist_ok=True)
    tensors = {name: x.detach().to(dtype).contiguous() for name, x in weights.items()}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(tokenizer_path, out / "tokenizer.json")
    for name, content in (
        ("config", config_json(config, tokenizer, dtype)),
        ("generation_config", generation_json(config, tokenizer, alignment_heads)),
        ("preprocessor_config", preprocessor_json(features or FeatureSettings())),
        ("tokenizer_config", tokenizer_json()),
    ):
        (out / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--weights", type=Path, default=Path("data/ears/averaged.pt"), help="as the trainer leaves them")
    parser.add_argument("--tokenizer", type=Path, default=Path("data/ears/tokenizer.json"))
    parser.add_argument("--text-folder", type=Path, help="held-out sentences to find the alignment heads with")
    parser.add_argument("--out", type=Path, default=Path("models/whisper/weights"))
    arguments = parser.parse_args()
    weights = torch.load(arguments.weights, weights_only=True)
    channels = weights["model.decoder.layer_norm.weight"].shape[0]
    layers = [
        len({name.split(".")[3] for name in weights if name.startswith(f"model.{side}.layers.")})
        for side in ("encoder", "decoder")
    ]
    config = make_config(Tokenizer.from_file(str(arguments.tokenizer)), channels, layers[0], layers[1])
    heads = [[layer, head] for layer in range(layers[1] // 2, layers[1]) for head in range(config.decoder_attention_heads)]
    write_checkpoint(weights, config, arguments.tokenizer, arguments.out, heads)
    if arguments.text_folder is not None:
        heads, report = find_heads(load("cpu", 1, arguments.out, engine="torch"), arguments.text_folder)
        write_checkpoint(weights, config, arguments.tokenizer, arguments.out, heads)
        print(f"word times by heads {heads}; {report}")


if __name__ == "__main__":
    main()
