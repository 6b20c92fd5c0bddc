# modelkeep's server and command line.
#
#   docker run --rm -v modelkeep:/data -p 127.0.0.1:50051:50051 --stop-timeout 45 \
#       modelkeep serve --data /data --listen 0.0.0.0:50051 --allow-open
#
# Without arguments it listens on the container's own loopback, for what shares its network (a
# sidecar, `--network host`). To be reached from outside takes the two flags above, on purpose:
# the server asks nobody who they are yet, so whoever reaches the port may do anything. Publish it
# on loopback, or on a network that you trust.

# Any image with Python 3.11 or newer and its venv module.
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
RUN python3 -m venv /uv && /uv/bin/pip install --no-cache-dir --quiet uv==0.13.9
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PROJECT_ENVIRONMENT=/opt/modelkeep \
    UV_PYTHON=python3 \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /src
# The dependencies first: they change less often than the code.
COPY pyproject.toml uv.lock ./
RUN /uv/bin/uv sync --frozen --no-dev --extra server --extra otel --no-install-project
COPY . .
RUN /uv/bin/uv sync --frozen --no-dev --extra server --extra otel --no-editable

FROM ${BASE}
COPY --from=build /opt/modelkeep /opt/modelkeep
# The server wants its data folder to itself.
RUN install -d -m 0700 -o 10001 -g 10001 /data
ENV PATH=/opt/modelkeep/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/tmp
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 50051
# Stopping takes up to 40 s: calls under way are let end.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["modelkeep", "health"]
ENTRYPOINT ["modelkeep"]
CMD ["serve", "--data", "/data"]
