# Edgewright with its cross toolchain: compiles for ARM boards on any machine that runs containers.
#
#   docker build -t edgewright .
#   docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" edgewright \
#       compile model.onnx --target rpi4 -o model-rpi4
#
# docs/docker.md says the rest: many targets, CI, no network, a private package index, the size.

# Any Debian or Ubuntu with Python 3.10 or later.
ARG BASE_IMAGE=debian:bookworm-20260824-slim@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171

# What the image has of the system. QEMU is for verify, run and cost; other CPUs' emulators go.
FROM ${BASE_IMAGE} AS system
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 qemu-user \
 && find /usr/bin -name 'qemu-*' ! -name qemu-aarch64 ! -name qemu-arm -delete \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/*.log

FROM system AS builder
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv
# Named folder by folder: a change of what is not installed (tests, documents) repeats nothing.
COPY pyproject.toml constraints.txt README.md LICENSE /src/
COPY spec /src/spec
COPY models /src/models
COPY schedules /src/schedules
COPY compiler /src/compiler
COPY deploy /src/deploy
COPY edgewright /src/edgewright
# Without PyTorch, which only `edgewright models export` needs: PACKAGE=.[models] adds it.
ARG PACKAGE=.
# The secrets are optional: pip's configuration, and certificates for it to trust. The variable pins
# the packages that build ours, too.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca.crt,target=/run/secrets/ca.crt \
    python3 -m venv /opt/edgewright \
 && cd /src \
 && PIP_CONSTRAINT=/src/constraints.txt /opt/edgewright/bin/pip install \
      --no-cache-dir --disable-pip-version-check "${PACKAGE}" \
 && /opt/edgewright/bin/pip uninstall -y --quiet pip setuptools

# Out with what no target here can use: other systems' headers, C++, tests, sources of TVM, a second
# onnxruntime for C. What follows compiles for every architecture without them.
RUN cd /opt/edgewright/lib/python3*/site-packages \
 && find ziglang/lib/libc/include -mindepth 1 -maxdepth 1 \
      ! -name '*-linux-*' ! -name 'generic-glibc' ! -name 'generic-musl' -exec rm -r {} + \
 && cd ziglang/lib \
 && rm -rf docs init lldb build-web libcxx libcxxabi libtsan \
      libc/mingw libc/wasi libc/darwin libc/freebsd libc/netbsd libc/openbsd \
 && cd ../.. \
 && rm -rf tvm/3rdparty tvm/src tvm/web onnx/backend/test onnxruntime/transformers \
 && rm -f onnxruntime/capi/libonnxruntime.so.* \
 && find . -path ./ziglang -prune -o -name tests -type d -prune -exec rm -r {} +

# zig builds a C library for every architecture before it first links for it: half a minute that the
# image spends here, and keeps (deploy/zig_cache.py). One target stands for its architecture. Whoever
# runs the image may add to the cache: it is writable for all. `cost` leaves QEMU's plugin there.
ARG WARM_TARGETS="rpi4 rpi2 rpi0 arm926"
ENV XDG_CACHE_HOME=/var/cache/edgewright \
    ZIG_GLOBAL_CACHE_DIR=/var/cache/edgewright/zig
RUN cd /tmp && mkdir -p "${ZIG_GLOBAL_CACHE_DIR}/h" "${ZIG_GLOBAL_CACHE_DIR}/o" \
 && /opt/edgewright/bin/python -c 'import onnx; onnx.save(onnx.parser.parse_model("<ir_version: 8, opset_import: [\"\": 17]> one (float[4] x) => (float[4] y) { y = Relu(x) }"), "one.onnx")' \
 && for target in ${WARM_TARGETS}; do \
      /opt/edgewright/bin/edgewright compile one.onnx --target "$target" -o "one-$target" || exit 1; \
      /opt/edgewright/bin/edgewright cost "one-$target" || exit 1; \
    done \
 && rm -rf "${ZIG_GLOBAL_CACHE_DIR}/z" "${ZIG_GLOBAL_CACHE_DIR}/tmp" \
 && /opt/edgewright/bin/python -m edgewright.deploy.zig_cache "${ZIG_GLOBAL_CACHE_DIR}" \
 && chmod -R a+rwX "${XDG_CACHE_HOME}"

FROM system
# Ubuntu has a user 1000 of its own.
RUN useradd --create-home --uid 1000 --non-unique edgewright \
 && rm -f /var/log/*.log \
 && install -d -m 777 /var/cache/edgewright
COPY --from=builder /opt/edgewright /opt/edgewright
COPY --from=builder /var/cache/edgewright /var/cache/edgewright
ENV PATH=/opt/edgewright/bin:$PATH \
    XDG_CACHE_HOME=/var/cache/edgewright \
    ZIG_GLOBAL_CACHE_DIR=/var/cache/edgewright/zig \
    ORT_DISABLE_TELEMETRY=1
USER edgewright
WORKDIR /data
ENTRYPOINT ["edgewright"]
CMD ["--help"]
