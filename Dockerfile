# syntax=docker/dockerfile:1
# The full image has a compiler, which Faust needs where it has no wheel (arm64); the slim one is what runs.
FROM python:3.12 AS build

# runtime, or judge for the image that also holds ragas
ARG SET=runtime

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/gleaner
ENV PATH=/opt/gleaner/bin:$PATH

WORKDIR /src
COPY requirements/ requirements/
RUN pip install --require-hashes -r requirements/${SET}.txt

COPY pyproject.toml README.md LICENSE ./
COPY schemas/ schemas/
COPY detectors/ detectors/
COPY sinks/ sinks/
COPY streams/ streams/
RUN pip install --no-build-isolation --no-deps .


FROM python:3.12-slim

RUN useradd --system --uid 10001 --home-dir /var/lib/gleaner --shell /usr/sbin/nologin gleaner \
    && install -d -o gleaner -g gleaner -m 0750 /var/lib/gleaner \
    && install -d -m 0755 /srv/empty
COPY --from=build /opt/gleaner /opt/gleaner

ENV PATH=/opt/gleaner/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GLEANER_STATE_DIR=/var/lib/gleaner \
    RAGAS_DO_NOT_TRACK=true

USER gleaner
# The import packages have plain names: a folder "schemas" in the working directory could stand before ours.
WORKDIR /srv/empty
VOLUME /var/lib/gleaner
ENTRYPOINT ["gleaner"]
CMD ["--help"]
