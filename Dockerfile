# syntax=docker/dockerfile:1
# GPU image by default; for the CPU variant:
#   docker build --build-arg BASE=python:3.11-slim-bookworm --build-arg EXTRAS= --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu .
ARG BASE=nvidia/cuda:12.8.1-runtime-ubuntu24.04

FROM python:3.11-slim-bookworm AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${BASE}
ARG EXTRAS=[gpu]
ARG TORCH_INDEX=https://download.pytorch.org/whl/cu128
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 PATH=/opt/descant/bin:$PATH
# hadolint ignore=DL3008
RUN command -v python3 >/dev/null || (apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*)
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    python3 -m venv /opt/descant \
    && pip install --constraint /constraints.txt --extra-index-url "${TORCH_INDEX}" "$(echo /wheels/descant-*.whl)${EXTRAS}"
RUN useradd --create-home --uid 10001 descant
USER 10001
WORKDIR /home/descant
EXPOSE 8080 50051 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
# Beyond loopback the server refuses to start without keys: mount a data folder that
# holds them (`descant keys create NAME` with DESCANT_DATA_DIR) at /data.
ENV DESCANT_DATA_DIR=/data DESCANT_HOST=0.0.0.0
VOLUME /data
ENTRYPOINT ["descant"]
CMD ["serve"]
