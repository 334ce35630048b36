# The operator and nothing else: one static program, no shell, no package manager, no root.
#
#   docker build --build-arg VERSION=v1.2.3 --tag keyturn .
#
# `make image` makes the released one, without Docker and on an empty base.

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
# Modules change less often than code, so they have a layer of their own.
COPY go.mod go.sum ./
RUN go mod download
COPY api/ api/
COPY cmd/ cmd/
COPY controllers/ controllers/
COPY internal/ internal/
COPY webhook/ webhook/
ARG TARGETOS TARGETARCH VERSION=v0.0.0-dev
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
	go build -trimpath -buildvcs=false -ldflags="-s -w -X main.version=$VERSION" -o /keyturn ./cmd/keyturn

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /keyturn /keyturn
USER 65532:65532
ENTRYPOINT ["/keyturn"]
