#!/usr/bin/env bash
# Everything that needs a GPU, from a plain checkout, in under 8 minutes; what it finds lies in one folder.
#
#   benchmarks/gpu_report.sh OUT_FOLDER [--device cuda|cpu] [--recognition-model NAME]
#
# --device cpu runs the same steps in a short form, to see that they work; its figures are no results. NAME is a Whisper
# that is installed (`descant models list`); without one, a network of the size of large-v3-turbo takes its place, whose
# random weights cost the same work.
#
# The environment is .venv where there is one. Otherwise `make setup` makes it, or, where WHEELS names a folder of
# wheels for a machine without a network, pip does from that folder and from what python3 already has (such as torch).
# A step that fails or runs out of time does not keep the others from running; the exit status says that one did.
set -uo pipefail

usage() {
  echo "usage: benchmarks/gpu_report.sh OUT_FOLDER [--device cuda|cpu] [--recognition-model NAME]" >&2
  exit 2
}

readonly BUDGET_S=470
out="" device=cuda recognition_model=""
while (($#)); do
  case $1 in
    --device) device=${2-}; shift 2 || usage ;;
    --recognition-model) recognition_model=${2-}; [[ -n $recognition_model ]] || usage; shift 2 ;;
    -*) usage ;;
    *) [[ -z $out ]] || usage; out=$1; shift ;;
  esac
done
[[ -n $out && $device =~ ^(cuda|cpu)$ ]] || usage

mkdir -p "$out" || exit 2
out=$(cd "$out" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
python=$PWD/.venv/bin/python
summary=$out/summary.txt
: >"$summary"
failures=0
SECONDS=0

say() { echo "$*" | tee -a "$summary"; }

# step NAME LIMIT_S COMMAND...: its output goes to NAME.log, what it says about itself to the summary.
step() {
  local name=$1 limit_s=$2 status=0
  local begin_s=$SECONDS left_s=$((BUDGET_S - SECONDS))
  shift 2
  if ((left_s < 5)); then
    say "$name: not run, the time was used up"
    failures=$((failures + 1))
    return
  fi
  timeout --kill-after=10 $((limit_s < left_s ? limit_s : left_s)) "$@" >"$out/$name.log" 2>&1 || status=$?
  case $status in
    0) say "$name: done in $((SECONDS - begin_s)) s" ;;
    124 | 137) say "$name: cut off after $((SECONDS - begin_s)) s" ;;
    *) say "$name: FAILED with status $status after $((SECONDS - begin_s)) s, see $name.log" ;;
  esac
  ((status == 0)) || failures=$((failures + 1))
}

server_options=(--device "$device")

# bench NAME LIMIT_S KIND OPTIONS...: rows in NAME.jsonl, the picture in NAME.png.
bench() {
  local name=$1 limit_s=$2 kind=$3
  shift 3
  # What stands after -- are options of the server that it starts. The shell that step starts knows none of our names.
  # shellcheck disable=SC2016
  step "$name" "$limit_s" bash -c 'rows=$1; shift; exec "$@" >"$rows"' bash "$out/$name.jsonl" \
    "$python" -m server bench "$kind" --json --picture "$out/$name.png" "$@" -- "${server_options[@]}"
}

setup() {
  if [[ -n ${WHEELS-} ]]; then
    python3 -m venv --system-site-packages .venv &&
      .venv/bin/python -m pip install --quiet --no-index --find-links "$WHEELS" --editable .
  else
    make setup
  fi
}
export -f setup

[[ -x $python ]] || step setup 300 bash -c setup
if [[ ! -x $python ]]; then
  say "There is no environment to run in; see setup.log."
  exit 1
fi

step machine 60 "$python" -c "
import json, torch
from server.bench.stats import code_version, machine
found = torch.cuda.is_available()
print(json.dumps({'commit': code_version(), **machine(), 'torch': torch.__version__, 'cuda': torch.version.cuda,
                  'multiprocessors': torch.cuda.get_device_properties(0).multi_processor_count if found else None}, indent=1))
if '$device' == 'cuda' and not found:
    raise SystemExit('torch sees no CUDA device; --device cpu shows that the steps work')
"
cat "$out/machine.log"
((failures == 0)) || exit 1

# large_recognizer LIMIT_S SHAPE TOKENS STREAMS UTTERANCES: the installed model, or one of this shape without its weights.
large_recognizer() {
  local folder=$out/random-whisper name=$recognition_model
  if [[ -z $name ]]; then
    name=random-whisper
    step random_whisper 30 "$python" -m benchmarks.random_whisper "$folder" --shape "$2" --tokens "$3"
    step random_import 15 "$python" -m server models import "$folder" --name "$name"
  fi
  server_options+=(--recognition-model "$name")
  bench large_recognizer "$1" stt --model "$name" --streams "$4" --utterances "$5" --clients "$clients"
  server_options=(--device "$device")
  rm -rf "$folder" "$out/data/models"
}

# Where the installed model lies, before the data folder becomes one of ours.
if [[ -n $recognition_model ]]; then
  step installed_model 30 "$python" -m server models show "$recognition_model"
  ((failures == 0)) || { cat "$out/installed_model.log"; exit 1; }
  DESCANT_MODELS_DIR=$("$python" -m server models list --json | "$python" -c "import json, sys; print(json.load(sys.stdin)['folder'])")
  export DESCANT_MODELS_DIR
fi

# Thousands of sockets, and room for the largest loads below; all sessions are of one key, which may take 7 of 8 slots.
ulimit -n "$(ulimit -Hn)"
export DESCANT_LIMITS__MAX_SPEECH_SESSIONS=2400 DESCANT_LIMITS__MAX_TRANSCRIPTION_SESSIONS=320
export DESCANT_DATA_DIR=$out/data

if [[ $device == cuda ]]; then
  clients=$(($(nproc) > 4 ? $(nproc) / 2 : 2))
  step gpu_tests 80 "$python" -m pytest -q -m gpu -p no:cacheprovider tests
  step op_speed 60 "$python" -m benchmarks.op_speed --device cuda --output "$out/op_speed.jsonl"
  bench voice_closed 60 tts --streams 1,2,4,8,12,16,64,256 --requests 200 --clients "$clients"
  server_options+=(--no-cuda-graphs) # the same rows as above, but kernels are launched one by one
  bench voice_no_graphs 30 tts --streams 1,16,256 --requests 200 --clients "$clients"
  server_options=(--device "$device")
  bench voice_open 40 tts --rate 10,50,200 --requests 400 --clients "$clients"
  bench voice_paced 100 tts --paced 256,512,1024,2048 --clients "$clients"
  bench recognizer 60 stt --streams 16,256 --utterances 2 --clients "$clients"
  large_recognizer 90 large-v3-turbo 24 16,64,256 2
else
  clients=1
  # The smallest limits that take these loads: a CPU would warm thousands of slots for minutes.
  export DESCANT_LIMITS__MAX_SPEECH_SESSIONS=8 DESCANT_LIMITS__MAX_TRANSCRIPTION_SESSIONS=8 OMP_NUM_THREADS=1
  step gpu_tests 150 "$python" -m pytest -q -m gpu -p no:cacheprovider tests/kernels
  step op_speed 60 "$python" -m benchmarks.op_speed --device cpu --threads 1 --repeats 3 --output "$out/op_speed.jsonl"
  bench voice_closed 90 tts --streams 1,2 --requests 6
  server_options+=(--no-cuda-graphs)
  bench voice_no_graphs 60 tts --streams 1,2 --requests 6
  server_options=(--device "$device")
  bench voice_open 60 tts --rate 2 --requests 6
  bench voice_paced 90 tts --paced 2 --requests 2 --clients 2
  bench recognizer 90 stt --streams 1,2 --utterances 1
  large_recognizer 90 tiny 8 1 1
fi
rm -rf "$out/data"

step tables 30 "$python" -c "
import json, pathlib
from server.bench import stt_report, tts_report
from server.bench.table import header, line
for path in sorted(pathlib.Path('$out').glob('*.jsonl')):
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    columns = {'tts_latency': tts_report.COLUMNS, 'stt_latency': stt_report.COLUMNS}.get(rows[0]['benchmark'] if rows else '')
    if columns:
        print('', path.stem, header(columns), *(line(columns, row) for row in rows), sep='\\n')
"
tee -a "$summary" <"$out/tables.log"
say "$failures step(s) did not end well; $SECONDS s of $BUDGET_S s. Files are in $out."
((failures == 0))
