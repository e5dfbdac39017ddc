# The server, without what only training, tests and builds need.
#
#   make image                        builds it as lacuna:latest and lacuna:<version>
#   docker run --rm --read-only --cap-drop ALL -p 127.0.0.1:8000:8000 lacuna
#
# docs/operations.md says how to run it.
ARG BASE_IMAGE=python:3.11-slim


# All that is locked, build tools included. It changes with the lock alone.
FROM ${BASE_IMAGE} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore
# The base's pip installs into the environment, so that none has to be taken out of it again.
RUN python -m venv --without-pip /opt/venv
COPY requirements/serve.txt /build/requirements/
# The report says which wheels these were, for the SBOM.
RUN python -m pip --python /opt/venv/bin/python install \
        --report /build/installed.json --require-hashes -r /build/requirements/serve.txt


# The base with the allocator that the server is loaded with.
FROM ${BASE_IMAGE} AS system
RUN ldconfig -p | grep -q libjemalloc.so.2 || { \
        apt-get update -qq && apt-get install -qq -y --no-install-recommends libjemalloc2 >/dev/null \
        && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log; \
    }


# The client with its command, and the server: two distributions.
FROM dependencies AS application
COPY pyproject.toml README.md LICENSE /build/
COPY lacuna /build/lacuna
COPY service /build/service
RUN python -m pip --python /opt/venv/bin/python install \
        --no-build-isolation --no-deps --target /opt/lacuna /build /build/service
COPY deploy/container/start.py deploy/container/healthcheck.py /opt/lacuna/
# Models are looked for in /models, unless SageMaker or Vertex AI provides others. A setting would
# have precedence over those; so /models is the folder that is served without a setting.
RUN rm -r /opt/lacuna/service/demo/models && ln -s /models /opt/lacuna/service/demo/models
# Nothing can write bytecode into a read-only root, and TensorFlow takes three times as long to import
# without: it is written here, and not compared with the sources, whose times a copy may change.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/lacuna


# The dependencies without what no server touches. .ci/exercise-image proves each of these on the
# image: it loads, checks and serves the demo, and imports every codec.
FROM dependencies AS slim
RUN command -v strip >/dev/null \
    || { apt-get update -qq && apt-get install -qq -y --no-install-recommends binutils >/dev/null; }
RUN set -eu; cd "$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"; \
    # Symbols that only a debugger reads: 250 MB of TensorFlow's, 37 of imagecodecs', 28 of rasterio's, 12 of
    # uvloop's.
    # Libraries that a wheel vendors (*.libs) were rewritten by its maker, and are left alone.
    find tensorflow imagecodecs rasterio uvloop -name '*.so*' -type f -exec strip --strip-unneeded {} +; \
    # Headers for building against TensorFlow: 287 MB.
    rm -r tensorflow/include; \
    # NumPy's and Shapely's tests: 13 MB.
    find numpy shapely -name tests -type d -prune -exec rm -r {} +; \
    # ONNX Runtime's library for C, a copy of what is linked into its module (35 MB), and tools (9).
    rm -r onnxruntime/capi/libonnxruntime*.so* onnxruntime/tools onnxruntime/quantization \
        onnxruntime/transformers onnxruntime/datasets onnxruntime/backend; \
    # What TensorFlow asks for and does not import to serve: a compiler's front end (62 MB), Keras (31)
    # with its HDF5 (16) and trees (3), and what builds packages (15).
    python -m pip --python /opt/venv/bin/python uninstall -q -y \
        libclang keras h5py optree namex \
        setuptools wheel hatchling pathspec pluggy tomlkit trove-classifiers; \
    /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash .


# What the image holds, for who has to know: an SBOM, and all licences and notices. It fails for a licence
# that deploy/inventory/licenses.toml does not allow. Its tools stay here.
FROM slim AS inventory
COPY requirements/inventory.txt /build/requirements/
RUN python -m venv --without-pip /opt/tools && python -m pip --python /opt/tools/bin/python install \
        --require-hashes -r /build/requirements/inventory.txt
# rasterio's wheel has no texts of the licences of these; Debian's packages have them.
RUN mkdir /build/texts && cd /build/texts \
    && if command -v apt-get >/dev/null; then \
        apt-get update -qq && apt-get download -qq \
            libcurl4-openssl-dev libjson-c-dev libnghttp2-dev libpcre2-dev libproj-dev libsqlite3-dev \
        && for package in *.deb; do dpkg-deb -x "$package" .; done; \
    fi
COPY --from=system /var/lib/dpkg/status /build/dpkg-status
COPY --from=application /opt/lacuna /opt/lacuna
COPY deploy/inventory /build/deploy/inventory
ARG BASE_IMAGE
ARG VERSION=unknown
ARG CREATED=1970-01-01T00:00:00Z
RUN cd /build && /opt/tools/bin/python -m deploy.inventory \
        --packages /opt/lacuna "$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
        --report installed.json --python /opt/venv/bin/python --dpkg dpkg-status --texts texts \
        --base "$BASE_IMAGE" --version "$VERSION" --created "$CREATED" --output /usr/share/doc/lacuna


FROM system
ARG BASE_IMAGE
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="lacuna" \
      org.opencontainers.image.description="Serves segmentation for images with missing pixels" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      # It listens on SageMaker's SAGEMAKER_BIND_TO_PORT, as containers of a pipeline must.
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true"

COPY --from=slim /opt/venv /opt/venv
COPY --from=application /opt/lacuna /opt/lacuna
COPY --from=inventory /usr/share/doc/lacuna /usr/share/doc/lacuna
# The demo stands where models are looked for; a volume that is mounted there takes its place.
COPY service/demo/models /models
# Measurements of models. A named volume that is mounted here takes its owner from this folder.
RUN mkdir -p /var/cache/lacuna && chown 10001:10001 /var/cache/lacuna

# TensorFlow does not import where there is no folder for temporary files, though it writes none.
# /dev/shm can be written to under a read-only root, whatever is mounted or not.
# Workers wait less for jemalloc than for the C library's allocator. It is to keep memory for the next call
# until the server is idle (docs/decisions/0029).
ENV LD_PRELOAD=libjemalloc.so.2 \
    MALLOC_CONF=dirty_decay_ms:-1 \
    PATH=/opt/lacuna/bin:/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/lacuna \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    TMPDIR=/dev/shm \
    LACUNA_HOST=0.0.0.0 \
    LACUNA_CACHE_FOLDER=/var/cache/lacuna

USER 10001:10001
EXPOSE 8000 8001 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-IS", "/opt/lacuna/healthcheck.py"]
ENTRYPOINT ["python", "/opt/lacuna/start.py"]
CMD ["serve"]
