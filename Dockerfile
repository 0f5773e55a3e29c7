# shoal with what its workers need: docker build -t shoal . && docker run --rm shoal worker --help
# Without Docker and a registry: deploy/images/shoal.sh (the same from this machine's Debian packages, half as large).
ARG BASE=debian:bookworm-slim
FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
      gcc libc6-dev cmake ninja-build pkg-config libavro-dev libsqlite3-dev libjansson-dev \
      libcurl4-openssl-dev libssl-dev librdkafka-dev libmicrohttpd-dev libexpat1-dev libyaml-dev
COPY . /source
RUN cmake -S /source -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \
      -DCMAKE_INSTALL_PREFIX=/usr && cmake --build /build --target shoal \
    && DESTDIR=/made cmake --install /build --strip

FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends \
      ca-certificates crun umoci libavro23 libsqlite3-0 libjansson4 libcurl4 libssl3 librdkafka1 \
      libmicrohttpd12 libexpat1 libyaml-0-2 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /scratch --create-home shoal
COPY --from=build /made/ /
USER 10001:10001
WORKDIR /scratch
ENV HOME=/scratch
STOPSIGNAL SIGTERM
LABEL org.opencontainers.image.title=shoal org.opencontainers.image.licenses=MIT
ENTRYPOINT ["/usr/bin/shoal"]
CMD ["help"]
