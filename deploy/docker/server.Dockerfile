# syntax=docker/dockerfile:1
# The server and the command-line client; no trainer. From the root of the repository:
#   docker build -f deploy/docker/server.Dockerfile -t recserve-server:0.1.0 .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL -v "$PWD/models:/models:ro" -p 8500:8500 \
#     --stop-timeout 30 recserve-server:0.1.0
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
    --package recserve-server --extra redis --extra scann --no-install-workspace
COPY client client
COPY server server
RUN --mount=type=cache,target=/var/cache/uv \
    uv sync --locked --no-editable --no-default-groups \
    --package recserve-server --extra redis --extra scann

FROM python:${PYTHON}-slim-trixie
RUN useradd --no-log-init --no-create-home --home-dir /tmp --shell /usr/sbin/nologin \
    --uid 10001 --user-group recserve
COPY --from=build /opt/recserve /opt/recserve
ENV PATH=/opt/recserve/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# By number: Kubernetes cannot tell that a name is not root's.
USER 10001:10001
EXPOSE 8500 9090
STOPSIGNAL SIGTERM
# Without TLS; with it, ask http://127.0.0.1:9090/readyz instead.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["recserve", "health", "--target", "127.0.0.1:8500", "--timeout", "3"]
ENTRYPOINT ["recserve-serve"]
CMD ["--models=/models", "--address=0.0.0.0:8500", "--admin-address=0.0.0.0:9090", "--drain-delay=10", "--log-format=json"]
