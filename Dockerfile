# syntax=docker/dockerfile:1
# docker build -t tavernkeep .
# How to run it: docs/configuration.md, "In a container".

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin tavernkeep \
    && install -D target/release/tavernkeep /out/tavernkeep

FROM debian:bookworm-slim
# Nobody in particular; give /data and /config to this number when you mount folders of the host there.
RUN groupadd --gid 10001 tavernkeep \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /config --shell /usr/sbin/nologin tavernkeep \
    && install -d -m 0700 -o tavernkeep -g tavernkeep /data /config
COPY --from=build /out/tavernkeep /usr/local/bin/tavernkeep
COPY --chmod=755 packaging/healthcheck /usr/local/bin/tavernkeep-healthcheck
USER tavernkeep
# config.yaml is looked for, and written at the first start, in the working folder. The audit log's head is noted there too,
# outside the data.
WORKDIR /config
ENV TAVERNKEEP_DATA_ROOT=/data \
    TAVERNKEEP_LISTEN=true
VOLUME ["/data", "/config"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s CMD ["tavernkeep-healthcheck"]
ENTRYPOINT ["tavernkeep"]
CMD ["serve"]
