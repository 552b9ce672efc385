# The tracking server and registry for a team; its own image has no driver for PostgreSQL.
FROM python:3.12.11-slim-bookworm
RUN pip install --no-cache-dir mlflow==3.17.2 psycopg2-binary==2.9.10
RUN useradd --uid 10001 --create-home mlflow && install -d -o mlflow -g mlflow /var/lib/mlflow
USER mlflow
WORKDIR /var/lib/mlflow
ENTRYPOINT ["mlflow", "server"]
