# One image for everything: by itself the receiver and the worker of one account with the store in /data; compose.yaml has
# the other ways to run it. PostgreSQL's driver and the writers of Excel and Word files are always in it.
#   docker build -t amo-bridge .
#   docker run -d -p 8080:8080 -v amo-bridge:/data -v ./config.toml:/app/config.toml:ro -e AMO_BRIDGE_TOKEN=… amo-bridge
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

RUN groupadd --gid 10001 bridge && useradd --uid 10001 --gid bridge --no-create-home --shell /usr/sbin/nologin bridge \
    && mkdir /data && chown 10001:10001 /data

WORKDIR /app
COPY requirements-image.lock ./
RUN pip install --require-hashes -r requirements-image.lock

COPY pyproject.toml README.md config.example.toml ./
COPY amo_bridge ./amo_bridge
COPY handlers ./handlers
COPY schedules ./schedules
COPY examples ./examples
COPY docs ./docs
# What config.example.toml names beside itself; mount folders of your own over them.
COPY letters ./letters
COPY scripts ./scripts
RUN pip install --no-deps --no-build-isolation .

# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
ENV AMO_BRIDGE_DATA=/data
VOLUME ["/data"]
EXPOSE 8080

HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health/live', timeout=4)"]

CMD ["amo-bridge", "serve", "--config", "/app/config.toml", "--host", "0.0.0.0", "--port", "8080"]
