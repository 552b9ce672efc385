# An image with a store in it: what it serves is decided when it is built, and rolled back by deploying another image.
#
#     docker build -f deploy/container/with-model.Dockerfile --build-arg IMAGE=fairlead:0.1.0 -t digits STORE
#
# STORE, the build's context, is the directory of a store.
ARG IMAGE=fairlead:0.1.0
FROM ${IMAGE}
COPY --chown=root:root . /opt/store
ENV FAIRLEAD_STORE=/opt/store
