# The packages are installed apart, so that pip and its cache stay out of the image.
FROM python:3.13-slim AS packages
COPY requirements/run.txt /tmp/run.txt
RUN python -m venv /opt/hawser \
 && /opt/hawser/bin/pip install --no-cache-dir --require-hashes -r /tmp/run.txt

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /data hawser \
 && install -d -o hawser -g hawser -m 0700 /data /run/hawser
COPY --from=packages /opt/hawser /opt/hawser
WORKDIR /app
COPY alembic.ini gunicorn.conf.py supervisord.conf wsgi.py ./
COPY database database
COPY mqttworker mqttworker
COPY ops ops
COPY webapp webapp
COPY templates templates
COPY static static
RUN python -m compileall -q /app

# HAWSER_HOSTNAME is part of every client id. A container's own host name is new for every
# container; a client id must not be. Give each instance that shares a broker its own name.
ENV PATH=/opt/hawser/bin:$PATH \
    HAWSER_ENV=production \
    HAWSER_HOME=/data \
    HAWSER_HOSTNAME=hawser \
    HAWSER_BIND=0.0.0.0:8000 \
    HAWSER_PYTHON=/opt/hawser/bin/python \
    HAWSER_SUPERVISOR_SOCKET=/run/hawser/supervisor.sock \
    HAWSER_RUN_SETUP=true \
    HAWSER_RUN_DEMO_BROKER=false

# From the first process on: supervisord needs no root, and a later change of the user
# would leave it unable to open its own standard output.
USER hawser
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "ops.livez"]
# The entry point prepares and then becomes the command: supervisord is process 1.
ENTRYPOINT ["python", "-m", "ops.entrypoint"]
CMD ["supervisord", "-c", "/app/supervisord.conf"]
