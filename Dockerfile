# Cube as one small image with all its programs. Stages, in the order in which a builder without
# BuildKit runs them: `runtime` (libraries, no programs), `build`, and the image itself.
#   docker build -t cube .
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS runtime
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates openssl libnats3.4 libprotobuf32 liblmdb0 libspdlog1.10 libfmt9 libyaml-cpp0.7 \
      libcurl4 libssl3 libdeflate0 libprometheus-cpp-core1.0 libprometheus-cpp-pull1.0 libabsl20220623 \
      util-linux \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --home-dir /var/lib/cube --shell /usr/sbin/nologin cube \
 && install -d -o cube -g cube -m 0750 /var/lib/cube
COPY deploy/compose/worker deploy/compose/worker-healthy deploy/nats/make-accounts /usr/local/bin/
# An anonymous volume made from this folder belongs to the user cube, as the folder does.
VOLUME /var/lib/cube
ENV CUBE_STATE_DIR=/var/lib/cube
WORKDIR /var/lib/cube
USER cube
CMD ["cube", "--help"]

FROM ${BASE} AS build
COPY scripts/setup /src/scripts/setup
COPY scripts/lib /src/scripts/lib
RUN /src/scripts/setup --build-only
COPY . /src
RUN cd /src \
 && cmake --preset release -DCUBE_BUILD_TESTS=OFF -DCUBE_BUILD_BENCH=OFF \
 && cmake --build --preset release \
 && cmake --install build/release --prefix /out --strip

FROM runtime
COPY --from=build /out/bin/ /usr/local/bin/
