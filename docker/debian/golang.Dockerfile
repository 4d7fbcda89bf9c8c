# A Go image from this machine's own Go: the build context is its GOROOT, with the
# certificates that this machine trusts.
FROM debian:trixie-slim
COPY ca-certificates.crt /etc/ssl/certs/
COPY . /usr/local/go
ENV PATH=/usr/local/go/bin:/usr/bin:/bin GOTOOLCHAIN=local
