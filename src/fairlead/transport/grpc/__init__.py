"""gRPC: TensorFlow Serving's services, the Open Inference Protocol's, health and reflection, on one port.

HTTP/2 is spoken here (`grpc.http2`), so that the port is the parent's, one event loop serves it beside REST, and a call
costs a fifth of what grpcio's servers take. Start with `grpc.server`, then `grpc.calls`.
"""
