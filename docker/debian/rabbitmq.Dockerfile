# Stands for rabbitmq:4-management, from Debian's packages.
FROM debian:trixie-slim
RUN groupadd --gid 999 rabbitmq \
    && useradd --uid 999 --gid 999 --home-dir /var/lib/rabbitmq rabbitmq \
    && apt-get update \
    && apt-get install --yes --no-install-recommends rabbitmq-server \
    && rm -rf /var/lib/apt/lists/* /etc/rabbitmq/rabbitmq-env.conf /var/lib/rabbitmq/.erlang.cookie \
    && mkdir -p /etc/rabbitmq/conf.d \
    && chown -R rabbitmq:rabbitmq /var/lib/rabbitmq /var/log/rabbitmq
# systemd's way of running it makes Erlang the first process, which stops in order on SIGTERM.
ENV PATH=/usr/lib/rabbitmq/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=/var/lib/rabbitmq RABBITMQ_LOGS=- RUNNING_UNDER_SYSTEMD=yes
VOLUME /var/lib/rabbitmq
USER 999:999
EXPOSE 5672 15672
CMD ["rabbitmq-server"]
