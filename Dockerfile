# The server: the page and the API on port 8000. docs/serving.md tells how to run it, compose.yaml runs it hardened.
#
#   docker build -t veduta .
#   docker build -t veduta --build-arg EXTRAS=server,heic,samples .

FROM python:3.12-slim AS build

# Without the sample pictures: they come inside scikit-image and scikit-learn, which with SciPy behind them are some
# 225 MB that no request ever imports.
ARG EXTRAS=server

WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/veduta \
    && /opt/veduta/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt ".[${EXTRAS}]"


FROM python:3.12-slim

# A fixed number, so that files of the host can be given to it, and so that Kubernetes sees that it is not root.
RUN groupadd --gid 10001 veduta \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin veduta \
    && mkdir /data

# Owned by root: a process that is led astray can't change the program that it runs.
COPY --from=build /opt/veduta /opt/veduta

# Compiled files are there from the build, and nothing outside /tmp is ever written. NumPy's OpenBLAS would start a
# thread for every CPU of the host, which products as small as ours never use.
ENV PATH=/opt/veduta/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OPENBLAS_NUM_THREADS=1 \
    VEDUTA_HOME=/data \
    VEDUTA_CACHE=/tmp/veduta

USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM

# Without a proxy, whatever the environment says: the question must not leave the container.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.build_opener(web.ProxyHandler({})).open('http://127.0.0.1:' + os.getenv('VEDUTA_SERVER_PORT', '8000') + '/healthz', timeout=4)"]

CMD ["veduta", "serve", "--host", "0.0.0.0"]
