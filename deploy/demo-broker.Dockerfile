# The example service broker, for compose.yaml only: it keeps everything in memory and creates nothing.
#
#   docker build -f deploy/demo-broker.Dockerfile -t chandlery-demo-broker .

# See Dockerfile.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE}
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
COPY requirements/demo-broker.txt /tmp/demo-broker.txt
RUN pip install --require-hashes --requirement /tmp/demo-broker.txt \
    && rm /tmp/demo-broker.txt
COPY examples/demo_broker/ /opt/demo_broker/
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 5000
ENTRYPOINT ["python", "/opt/demo_broker/broker.py"]
CMD ["--host", "0.0.0.0", "--async"]
