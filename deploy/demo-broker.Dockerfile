# The example service broker, for compose.yaml only: it keeps everything in memory and creates nothing.
#
#   docker build -f deploy/demo-broker.Dockerfile -t chandlery-demo-broker .

FROM python:3.11-slim-bookworm
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
COPY requirements/dev.txt /tmp/dev.txt
# The lock of the development tools says which versions, so that the tests and this image run the same broker.
RUN sed -nE 's/^([A-Za-z0-9][^ ]*==.*[^ ]) *\\$/\1/p' /tmp/dev.txt > /tmp/versions.txt \
    && pip install --constraint /tmp/versions.txt openbrokerapi \
    && rm /tmp/dev.txt /tmp/versions.txt
COPY examples/demo_broker/ /opt/demo_broker/
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 5000
ENTRYPOINT ["python", "/opt/demo_broker/broker.py"]
CMD ["--host", "0.0.0.0", "--async"]
