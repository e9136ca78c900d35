# The server without a database: `fhir-server serve` and `fhir-server worker` are the same image. Not root, nothing to
# compile at start, every dependency checked against the lock's hashes.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements.lock requirements-demo.lock ./
RUN python -m venv /opt/samen && /opt/samen/bin/pip install --require-hashes --requirement requirements.lock
# The tools that build the wheel come from a lock too, into an environment of their own that is left behind.
RUN python -m venv /opt/tools && /opt/tools/bin/pip install --require-hashes --requirement requirements-demo.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY fhir_server fhir_server
COPY profiles profiles
COPY mappings mappings
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/samen/bin/pip install --no-deps --no-index dist/*.whl \
    && /opt/samen/bin/python -m compileall -q /opt/samen/lib
# Readable for everybody, also from a checkout that is not.
COPY deploy/replica_set.py deploy/
RUN install -D --mode=0644 deploy/replica_set.py /opt/samen/deploy/replica_set.py

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/samen --no-create-home --shell /usr/sbin/nologin samen \
    && install --directory --mode=0700 --owner=samen --group=samen /var/lib/samen /var/lib/samen-audit
COPY --from=build /opt/samen /opt/samen
ENV PATH=/opt/samen/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    SAMEN_HOST=0.0.0.0 SAMEN_PORT=8080 SAMEN_DATA=/var/lib/samen SAMEN_AUDIT_FOLDER=/var/lib/samen-audit
USER 10001
WORKDIR /var/lib/samen
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["fhir-server"]
CMD ["serve"]
