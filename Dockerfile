# Edgewright with its cross toolchain: compiles for ARM boards on any machine that runs containers.
#
#   docker build -t edgewright .
#   docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" \
#       edgewright compile model.onnx --target rpi4 -o model-rpi4
#
# --user makes the bundle yours; without it the image's own user must be able to write to the folder.
# BASE_IMAGE is any Debian or Ubuntu with Python 3.10 or later. PACKAGE=.[models] adds PyTorch, which
# only `edgewright models export` needs, and gigabytes with it.
ARG BASE_IMAGE=debian:bookworm-slim
FROM ${BASE_IMAGE}

# qemu-user-static is for `run` and `verify` with --on qemu. The compiler for the boards is in the
# ziglang wheel.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates python3 python3-venv qemu-user-static \
 && rm -rf /var/lib/apt/lists/*

# Named folder by folder: what is not installed (tests, documents, bundles) leaves this layer cached.
COPY pyproject.toml constraints.txt README.md LICENSE /src/
COPY spec /src/spec
COPY models /src/models
COPY schedules /src/schedules
COPY compiler /src/compiler
COPY deploy /src/deploy
COPY edgewright /src/edgewright
ARG PACKAGE=.
RUN python3 -m venv /opt/edgewright \
 && cd /src \
 && /opt/edgewright/bin/pip install --no-cache-dir --disable-pip-version-check \
      -c constraints.txt "${PACKAGE}" \
 && rm -rf /src

# Caches (zig keeps the C libraries that it builds) go where whatever user runs this may write.
ENV PATH=/opt/edgewright/bin:$PATH \
    XDG_CACHE_HOME=/tmp/cache \
    ZIG_GLOBAL_CACHE_DIR=/tmp/cache/zig
RUN useradd --create-home --uid 1000 edgewright
USER edgewright
WORKDIR /data
ENTRYPOINT ["edgewright"]
CMD ["--help"]
