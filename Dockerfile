# syntax=docker/dockerfile:1
# Build: docker build --tag opitios:2.0.0 .
# With a bill of materials and provenance: docker buildx build --sbom=true --provenance=true --push --tag REGISTRY/opitios:2.0.0 .
# Pin the base by digest in your own pipeline; a tag moves.
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
COPY scripts/build.mjs scripts/
RUN node --input-type=module --eval "(await import('/build/scripts/build.mjs')).installIfNeeded()"
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/bundle.mjs scripts/
COPY src src
RUN node scripts/build.mjs

FROM ${NODE_IMAGE} AS packages
WORKDIR /build
ENV NODE_ENV=production
COPY package.json package-lock.json ./
# No package of ours needs its install script: lmdb comes with binaries for glibc.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && npm cache clean --force

FROM ${NODE_IMAGE} AS run
LABEL org.opencontainers.image.title="opitios" \
      org.opencontainers.image.description="Gateway that keeps many Alpaca accounts warm behind one REST and WebSocket door" \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production \
    OPITIOS_CONFIG=/etc/opitios/opitios.yaml \
    OPITIOS__DATA_DIR=/var/lib/opitios
WORKDIR /opt/opitios
COPY --from=packages /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE ./
COPY config config
COPY deploy/docker/healthcheck.mjs ./
# Code belongs to root and is read only to the process; only the data directory is the process's own.
RUN install --directory --owner=node --group=node --mode=0700 /var/lib/opitios \
 && install --directory --mode=0755 /etc/opitios \
 && ln -s /opt/opitios/dist/cli/main.js /usr/local/bin/opitios \
 && chmod 0755 dist/cli/main.js
USER node
VOLUME ["/var/lib/opitios"]
EXPOSE 8090 9464
# The primary handles its signals itself and reaps its workers: it may be process 1.
STOPSIGNAL SIGTERM
# Live, not ready: an orchestrator that restarts what is unhealthy must not restart a gateway whose broker is away.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["node", "healthcheck.mjs"]
ENTRYPOINT ["node", "dist/cli/main.js"]
CMD ["serve"]
