# The harness, the deployment and Locust: one small image, nothing in it runs as root.
FROM python:3.13-slim AS build
WORKDIR /app
RUN python -m venv /venv
COPY requirements.lock ./
# Without --no-deps pip fails once a package asked for with an extra has a newer release than the lock.
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --quiet --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY handlers handlers
COPY harness harness
COPY loadtests loadtests
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --quiet --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --create-home --uid 1000 harness \
 && install -d -o harness -g harness /app /app/runs /home/harness/.cache
WORKDIR /app
COPY --from=build /venv /venv
USER harness
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["harness"]
