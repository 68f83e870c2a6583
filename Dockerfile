# One static binary on an empty image, run by a user without rights.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/rapport ./cmd/rapport \
    && mkdir -p /out/data

FROM scratch
# Certificates for TLS to mail servers and web hooks; time zones are in the binary.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/rapport /rapport
# The folder belongs to the user, so that a new volume does too.
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV RAPPORT_DATA=/data \
    RAPPORT_LISTEN=:8080 \
    RAPPORT_ADMIN=:9090
VOLUME /data
# 8080: API and public pages. 9090: metrics and report page, keep it private.
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["/rapport", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/rapport"]
CMD ["serve"]
