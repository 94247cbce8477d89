# The server, without compiler, pip's caches or tests.
#
#   docker build --tag banditd .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
#     --tmpfs /var/cache/banditd:uid=65532,gid=65532,mode=0700 --volume banditd:/var/lib/banditd \
#     --publish 127.0.0.1:50051:50051 banditd
#
# The base image is pinned by tag. Whoever publishes images pins it by digest as well: a digest has to be read from an
# image registry and was not at hand here. What comes from the package index is pinned by hash.

FROM python:3.12-slim AS build
WORKDIR /src

# The dependencies first: they change less often than the code. The venv stands where it will stand in the image.
COPY requirements/build.lock requirements/server.lock requirements/
RUN python -m pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements/build.lock \
 && python -m venv --without-pip /opt/banditd \
 && python -m pip --python /opt/banditd/bin/python install --no-cache-dir --no-deps --require-hashes \
      --only-binary :all: -r requirements/server.lock

COPY LICENSE README.md pyproject.toml ./
COPY clients/python clients/python
COPY banditd banditd
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels ./clients/python . \
 && python -m pip --python /opt/banditd/bin/python install --no-cache-dir --no-index --no-deps /wheels/*.whl

FROM python:3.12-slim

# The two writable places: the state, which must outlive the container, and machine code, which is made for the
# processor at hand at the first start and may be lost (Numba refuses to import without a place for it).
RUN install --directory --owner=65532 --group=65532 --mode=0700 /var/lib/banditd /var/cache/banditd
ENV NUMBA_CACHE_DIR=/var/cache/banditd
VOLUME ["/var/lib/banditd", "/var/cache/banditd"]

COPY --from=build /opt/banditd /opt/banditd

USER 65532:65532
WORKDIR /var/lib/banditd
EXPOSE 50051
STOPSIGNAL SIGTERM
# The first start compiles the kernels, before it serves.
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s --retries=3 \
  CMD ["/opt/banditd/bin/python", "-IB", "/opt/banditd/bin/banditd", "health"]
# -I: neither the working directory nor PYTHON* variables reach the import path. -B: no byte code is written, it was
# made at build. -u: log lines are not held back.
ENTRYPOINT ["/opt/banditd/bin/python", "-IBu", "/opt/banditd/bin/banditd"]
CMD ["serve", "--data", "/var/lib/banditd", "--listen", "0.0.0.0:50051"]
