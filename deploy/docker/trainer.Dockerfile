# syntax=docker/dockerfile:1
# The trainer. From the root of the repository:
#   docker build -f deploy/docker/trainer.Dockerfile -t recserve-trainer:0.1.0 .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL -v "$PWD/models:/models" -v "$PWD/data:/data" \
#     recserve-trainer:0.1.0 --models /models --data-dir /data --dataset movielens/100k --name films
# The folders must be writable by user 10001.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-trixie AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/opt/recserve \
    UV_CACHE_DIR=/var/cache/uv
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
# What changes rarely comes first, so that a change of ours does not install TensorFlow anew.
COPY pyproject.toml uv.lock ./
COPY client/pyproject.toml client/
COPY server/pyproject.toml server/
COPY trainer/pyproject.toml trainer/
RUN --mount=type=cache,target=/var/cache/uv \
    uv sync --locked --no-editable --no-default-groups \
    --package recserve-trainer --extra scann --extra tune --no-install-workspace
COPY client client
COPY trainer trainer
RUN --mount=type=cache,target=/var/cache/uv \
    uv sync --locked --no-editable --no-default-groups \
    --package recserve-trainer --extra scann --extra tune

FROM python:${PYTHON}-slim-trixie
# LightGBM is linked against it. Debian keeps one version only, so none can be named.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --no-log-init --no-create-home --home-dir /tmp --shell /usr/sbin/nologin \
    --uid 10001 --user-group recserve
COPY --from=build /opt/recserve /opt/recserve
ENV PATH=/opt/recserve/bin:$PATH PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR=/tmp/matplotlib
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["recserve-train"]
CMD ["--help"]
