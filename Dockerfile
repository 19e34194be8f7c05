# TORCH=cpu (the default) needs TORCH_INDEX, the package index of PyTorch's CPU builds, as pytorch.org's install page
# names it; PyPI's own torch for Linux is the CUDA build, which TORCH=cuda takes:
#   docker build --build-arg TORCH_INDEX=... -t dynstream .
#   docker build --build-arg TORCH=cuda -t dynstream:cuda .

FROM python:3.11-slim AS build
ARG TORCH=cpu
ARG TORCH_INDEX=""
# Unset unless given: a mirror to use instead of PyPI.
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY constraints.txt ./
RUN python -m venv /opt/dynstream \
    && /opt/dynstream/bin/python -m pip install --constraint constraints.txt --upgrade pip
ENV PATH=/opt/dynstream/bin:$PATH
# Torch first and alone: it is by far the largest layer and changes least.
RUN torch=$(grep '^torch==' constraints.txt) \
    && case "$TORCH" in \
        cpu) test -n "$TORCH_INDEX" || { \
               echo "TORCH=cpu needs --build-arg TORCH_INDEX=URL (the CPU index on pytorch.org's install page)," \
                    "or build with --build-arg TORCH=cuda" >&2; exit 2; }; \
             pip install --constraint constraints.txt --extra-index-url "$TORCH_INDEX" "$torch+cpu" ;; \
        cuda) pip install --constraint constraints.txt "$torch" ;; \
        *) echo "TORCH=$TORCH: expected cpu or cuda" >&2; exit 2 ;; \
    esac
COPY . .
# EXTRAS=research adds what training and measuring need.
ARG EXTRAS=""
RUN pip install --constraint constraints.txt ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.11-slim
LABEL org.opencontainers.image.title="dynstream" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/dynstream /opt/dynstream
# /cache and /data are writable for everybody: with `docker run --user "$(id -u):$(id -g)"`, which makes the
# output files the caller's own, the process has a user id that this image does not know.
RUN useradd --create-home --uid 1000 dynstream \
    && install -d -m 1777 /cache /data
ENV PATH=/opt/dynstream/bin:$PATH \
    HOME=/home/dynstream \
    USER=dynstream \
    XDG_CACHE_HOME=/cache \
    PYTHONUNBUFFERED=1
USER dynstream
VOLUME /cache
WORKDIR /data
ENTRYPOINT ["dynstream"]
CMD ["--help"]
