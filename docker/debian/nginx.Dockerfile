# Stands for nginx:1.28, from Debian's packages.
FROM debian:trixie-slim
RUN groupadd --gid 101 nginx \
    && useradd --uid 101 --gid 101 --no-create-home nginx \
    && apt-get update \
    && apt-get install --yes --no-install-recommends nginx-light curl \
    && rm -rf /var/lib/apt/lists/*
USER 101:101
STOPSIGNAL SIGQUIT
EXPOSE 8080 8443
CMD ["nginx", "-g", "daemon off;"]
